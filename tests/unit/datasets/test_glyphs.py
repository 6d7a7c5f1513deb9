import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from dass.datasets.glyphs import CANVAS, CHARACTERS, _Masks, make_glyphs
from dass.datasets.listing import Entry
from dass.datasets.packing import pack


@pytest.fixture(scope="module")
def masks():
    return _Masks()


def _framed(character: str, font: ImageFont.FreeTypeFont) -> np.ndarray:
    """The ink alone, on a 16x16 grid, of length one."""
    mask = Image.new("L", (300, 300))
    ImageDraw.Draw(mask).text((100, 80), character, fill=255, font=font)
    left, top, right, bottom = mask.getbbox()
    side = max(right - left, bottom - top)
    square = Image.new("L", (side, side))
    square.paste(mask.crop((left, top, right, bottom)), ((side - right + left) // 2, (side - bottom + top) // 2))
    values = np.asarray(square.resize((16, 16), Image.Resampling.BICUBIC), dtype=float).ravel()
    return values / np.linalg.norm(values)


def test_two_hundred_characters_in_twelve_faces_none_like_another(masks):
    assert len(set(CHARACTERS)) == len(CHARACTERS) == 200
    names = [font.getname() for font in masks.fonts]
    assert len(names) == 12
    for wanted in (("DejaVu Sans", "Book"), ("DejaVu Serif", "Book")):
        font = masks.fonts[names.index(wanted)].font_variant(size=96)
        vectors = np.stack([_framed(character, font) for character in CHARACTERS])
        likeness = vectors @ vectors.T - np.eye(len(CHARACTERS))
        assert likeness.max() < 0.95


def test_no_face_lacks_a_character(masks):
    for font in masks.fonts:
        missing = bytes(font.getmask("\uffff"))
        assert all(bytes(font.getmask(character)) != missing for character in CHARACTERS)


def test_ink_stays_inside(masks):
    for character in CHARACTERS:
        for face in range(12):
            border = np.asarray(masks.get(character, face)).copy()
            border[1:-1, 1:-1] = 0
            assert border.max() < 255


def test_more_images_leave_the_others_as_they_were():
    few, many = make_glyphs(2, 1, seed=3), make_glyphs(5, 2, seed=3)
    assert set(few.train) < set(many.train)
    assert len(many.train) == 1000
    assert len(many.test) == 400
    backwards = {entry: few.read(entry.name) for entry in few.train[:20][::-1]}
    for entry, image in backwards.items():
        assert (many.read(entry.name) == image).all()
    assert few.read("train/003/00000").shape == (CANVAS, CANVAS, 3)


def test_seed_part_and_number_change_the_image():
    first, second = make_glyphs(2, 2, seed=0), make_glyphs(2, 2, seed=1)
    names = ["train/000/00000", "train/000/00001", "test/000/00000", "train/001/00000"]
    images = [first.read(name) for name in names] + [second.read(names[0])]
    buffers = {image.tobytes() for image in images}
    assert len(buffers) == 5


def test_ink_and_ground_differ_in_brightness():
    listing = make_glyphs(3, 1, seed=0)
    for entry in listing.train[::7]:
        image = listing.read(entry.name).mean(2)
        assert np.percentile(image, 99) - np.percentile(image, 1) > 30


def test_it_packs(tmp_path):
    listing = make_glyphs(1, 1, seed=0)
    packed = pack(listing, tmp_path / "glyphs-16", "glyphs", 16, source="drawn here")
    assert packed.train_labels.tolist() == list(range(200))
    assert packed.card.classes[0] == "digit one 1"
    assert Entry(0, "train/000/00000") in listing.train
    Image.fromarray(packed.train_images[0]).save(io.BytesIO(), "PNG")
