"""Real photographs and their copies: which are found to look alike, and on which side of a split they come."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits, load_sample_images

from dass.datasets.importing import import_dataset
from dass.datasets.listing import Entry
from dass.datasets.near_duplicates import near_duplicates


def photographs() -> list[Image.Image]:
    """48 different parts of two photographs."""
    return [
        Image.fromarray(photo[row : row + 100, column : column + 100])
        for photo in load_sample_images().images
        for row in range(0, 400, 100)
        for column in range(0, 600, 100)
    ]


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return data.getvalue()


COPIES = {
    "again": lambda image: jpeg(image, 40),
    "smaller": lambda image: jpeg(image.resize((61, 61))),
    "mirrored": lambda image: jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "brighter": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.1)),
    "paler": lambda image: jpeg(ImageEnhance.Contrast(image).enhance(0.8)),
    "same": jpeg,
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(kind: str) -> None:
    parts = photographs()
    files = {f"{number:02}": jpeg(image) for number, image in enumerate(parts)}
    copies = {f"{number:02}-{kind}": COPIES[kind](image) for number, image in enumerate(parts[::4])}
    originals = {f"{number:02}-{kind}": f"{4 * number:02}" for number in range(len(copies))}
    both = files | copies
    groups = near_duplicates([Entry(0, name) for name in both], both.__getitem__)
    found = sum(groups[copy] == groups[original] for copy, original in originals.items())
    assert found >= len(copies) - 1  # one part is next to nothing but sky, whose grain is the JPEG's
    assert Counter(groups.values()).most_common(1)[0][1] <= 4
    assert len({groups[name] for name in files}) >= len(files) - 3


def test_other_classes_broken_files_and_handwriting_stand_alone() -> None:
    image = jpeg(photographs()[7])
    files = {"a": image, "b": image, "broken": b"no image"}
    assert near_duplicates([Entry(0, "a"), Entry(1, "b"), Entry(0, "broken")], files.__getitem__) == {
        "a": "a", "b": "b", "broken": "broken",
    }  # fmt: skip
    digits = load_digits()
    names = {f"{number:04}": (16 * image).clip(0, 255).astype(np.uint8) for number, image in enumerate(digits.images)}
    entries = [Entry(int(label), name) for name, label in zip(names, digits.target, strict=True)]
    sizes = Counter(near_duplicates(entries, names.__getitem__).values())
    assert len(sizes) > 0.95 * len(names)


def test_flat_images_are_alike_only_if_equal_and_uniform_classes_are_divided() -> None:
    flat = {f"{level:03}": np.full((16, 16, 3), level, np.uint8) for level in range(0, 250, 10)} | {
        "copy": np.full((16, 16, 3), 100, np.uint8)
    }
    groups = near_duplicates([Entry(0, name) for name in flat], flat.__getitem__)
    assert groups["copy"] == groups["100"]
    assert len(set(groups.values())) == len(flat) - 1
    one = np.asarray(photographs()[7])
    frames = {f"{number:02}": np.roll(one, number, axis=1) for number in range(40)}  # each is like the next
    assert len(set(near_duplicates([Entry(0, name) for name in frames], frames.__getitem__).values())) > 1
    same = dict.fromkeys(("a", "b", "c"), one)
    assert len(set(near_duplicates([Entry(0, name) for name in same], same.__getitem__).values())) == 3


@pytest.mark.parametrize("parts", ["", "train/"])
def test_a_split_keeps_copies_on_one_side(tmp_path: Path, parts: str) -> None:
    """Every image of a folder of classes lies there four times: none of its copies is on the other side."""
    images = photographs()
    for number, image in enumerate(images):
        folder = tmp_path / "photos" / parts / ("left" if number < 24 else "right")
        folder.mkdir(parents=True, exist_ok=True)
        for kind in ("same", "again", "mirrored", "smaller"):
            (folder / f"{kind}-{number:02}.jpg").write_bytes(COPIES[kind](image))
    packed = import_dataset("photos", tmp_path / "photos", tmp_path / "raw", 16)
    train, test = (part.reshape(len(part), -1) for part in (packed.train_images, packed.test_images))
    assert len(test) > 20
    mirrored = packed.train_images[:, :, ::-1].reshape(len(train), -1)
    worst = max(np.corrcoef(test, other)[: len(test), len(test) :].max() for other in (train, mirrored))
    assert worst < 0.99
    assert "near-duplicates" in packed.card.split_rule
    assert any("look" in line for line in packed.card.remarks)
