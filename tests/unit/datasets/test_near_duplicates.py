"""Real photographs and their copies: which are found to look alike, and on which side of a split they come."""

import io
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits, load_sample_images

from dass.datasets.importing import import_dataset
from dass.datasets.listing import Entry, hash_split, uneven_classes
from dass.datasets.near_duplicates import near_duplicates
from dass.datasets.packed import PackedDataset


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


def detailed() -> list[Image.Image]:
    """Those of them that show more than a piece of sky, whose copies differ by the grain of their JPEG."""
    return [one for one in photographs() if np.asarray(one.resize((16, 16))).std(axis=(0, 1)).max() > 30]


def nearest(packed: PackedDataset) -> float:
    """The highest correlation of a test image and a training image, mirrored or not, each colour less its mean."""

    def unit(images: np.ndarray) -> np.ndarray:
        vectors = (images - images.mean(axis=(1, 2), keepdims=True)).reshape(len(images), -1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    train, test = (np.asarray(part, dtype=float) for part in (packed.train_images, packed.test_images))
    return max(float((unit(test) @ unit(other).T).max()) for other in (train, train[:, :, ::-1]))


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
    assert found >= len(copies) - 2  # two parts are next to nothing but sky, whose grain is the JPEG's
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
    images = detailed()
    for number, image in enumerate(images):
        folder = tmp_path / "photos" / parts / ("left" if number < 24 else "right")
        folder.mkdir(parents=True, exist_ok=True)
        for kind in ("same", "again", "mirrored", "smaller"):
            (folder / f"{kind}-{number:02}.jpg").write_bytes(COPIES[kind](image))
    packed = import_dataset("photos", tmp_path / "photos", tmp_path / "raw", 16)
    assert nearest(packed) < 0.985
    assert "near-duplicates" in packed.card.split_rule
    assert any("look" in line for line in packed.card.remarks)


def test_a_common_cast_of_colour_is_no_likeness() -> None:
    """Images of noise under the same strong colour have nothing in common; the same one under another colour has."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 6, (30, 16, 16, 3))
    cast = {
        f"{place:02}": (one + np.array([220, 120, 20])).clip(0, 255).astype(np.uint8) for place, one in enumerate(noise)
    }
    groups = near_duplicates([Entry(0, name) for name in cast], cast.__getitem__)
    assert len(set(groups.values())) == len(cast)
    both = cast | {"other": (noise[3] + np.array([40, 140, 200])).clip(0, 255).astype(np.uint8)}
    assert near_duplicates([Entry(0, name) for name in both], both.__getitem__)["other"] == "03"


def test_memory_does_not_grow_with_the_pairs() -> None:
    """Thousands of alike images: all pairs of them would take hundreds of megabytes."""
    one = np.asarray(photographs()[7].resize((16, 16))).astype(np.int16)
    rng = np.random.default_rng(0)
    files = {f"{n:05}": (one + rng.integers(-2, 3, one.shape)).clip(0, 255).astype(np.uint8) for n in range(5000)}
    files |= {f"z{n:04}": rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for n in range(5100)}
    tracemalloc.start()
    groups = near_duplicates([Entry(0, name) for name in files], files.__getitem__)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {groups[name] for name in files if name[0] != "z"} == {"00000"}
    assert peak < 500_000_000


@pytest.mark.parametrize(
    ("sizes", "wanted"), [([1] * 50, 10), ([40, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 10), ([5] * 10, 10), ([30, 20], 20)]
)
def test_the_test_part_is_as_near_to_a_fifth_as_groups_allow(sizes: list[int], wanted: int) -> None:
    groups = {f"{group}-{number}": str(group) for group, size in enumerate(sizes) for number in range(size)}
    train, test = hash_split([Entry(0, name) for name in groups], groups.__getitem__)
    assert len(test) == wanted
    assert {groups[one.name] for one in train}.isdisjoint(groups[one.name] for one in test)
    assert bool(uneven_classes(train, test)) == (abs(len(test) - sum(sizes) / 5) > 2.5)


def test_a_table_of_labels_is_split_by_the_same_rule(tmp_path: Path) -> None:
    lines = ["file_name,label"]
    for number, image in enumerate(detailed()):
        for kind in ("same", "again", "mirrored"):
            (tmp_path / f"{kind}-{number:02}.jpg").write_bytes(COPIES[kind](image))
            lines.append(f"{kind}-{number:02}.jpg,{'left' if number < 24 else 'right'}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    packed = import_dataset("photos", tmp_path, tmp_path / "raw", 16)
    train, test = len(packed.train_images), len(packed.test_images)
    assert abs(test / (test + train) - 0.2) < 0.05
    assert nearest(packed) < 0.985
    assert "near-duplicates" in packed.card.split_rule
