import io
from collections import Counter

import numpy as np
import pytest

from dass.datasets.archives.opening import open_archive
from dass.datasets.layouts import quickdraw
from dass.datasets.layouts.quickdraw import read_quickdraw, read_quickdraw_full
from dass.datasets.packing import pack
from dass.errors import DassError


def _bitmaps(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 784), dtype=np.uint8)


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def drawings():
    return {"The Eiffel Tower": _bitmaps(30, 0), "apple": _bitmaps(12, 1)}


def test_each_drawing_comes_back(drawings, put_folder, put_zip, tmp_path, monkeypatch):
    monkeypatch.setattr(quickdraw, "PER_CLASS", 20)
    files = {
        "numpy_bitmap/The Eiffel Tower.npy": _npy(drawings["The Eiffel Tower"]),
        "numpy_bitmap/full_numpy_bitmap_apple.npy": _npy(drawings["apple"]),
    }
    for number, path in enumerate((put_folder(files), put_zip(files))):
        with open_archive(path) as archive:
            listing = read_quickdraw(archive)
            assert listing.classes == ("The Eiffel Tower", "apple")
            assert (len(listing.train), len(listing.test)) == (16 + 10, 4 + 2)
            packed = pack(listing, tmp_path / str(number), "quickdraw", 28, source="q")
        for images, entries in ((packed.train_images, listing.train), (packed.test_images, listing.test)):
            for image, entry in zip(images, entries, strict=True):
                name, index = entry.name.split("#")
                assert (image[..., 0].ravel() == drawings[name][int(index)]).all()


def test_the_paper_trains_on_twenty_drawings_a_class(put_folder):
    files = {f"{name}.npy": _npy(_bitmaps(count, count)) for name, count in (("apple", 60), ("bed", 15), ("cat", 26))}
    with open_archive(put_folder(files)) as archive:
        few, full = read_quickdraw(archive), read_quickdraw_full(archive)
    assert few.test == full.test
    assert set(few.train) <= set(full.train)
    counts = {part: Counter(entry.label for entry in listing.train) for part, listing in (("few", few), ("full", full))}
    assert counts == {"few": {0: 20, 1: 12, 2: 20}, "full": {0: 48, 1: 12, 2: 21}}
    assert few.train[:2] == full.train[:2]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"garbage", "is not a numpy file"),
        (b"", "is not a numpy file"),
        (_npy(np.zeros((3, 784))), "not uint8 bitmaps"),
        (_npy(np.zeros((3, 28, 28), dtype=np.uint8)), "not uint8 bitmaps"),
        (_npy(np.array([{}], dtype=object)), "not uint8 bitmaps"),
    ],
)
def test_other_files(drawings, put_folder, data, message):
    path = put_folder({"apple.npy": _npy(drawings["apple"]), "bed.npy": data})
    with open_archive(path) as archive, pytest.raises(DassError, match=message):
        read_quickdraw(archive)


def test_a_file_cut_short_is_found_when_it_is_read(drawings, put_folder, tmp_path):
    whole = _npy(drawings["apple"])
    path = put_folder({"apple.npy": whole, "bed.npy": whole[:-1]})
    with open_archive(path) as archive, pytest.raises(DassError, match=r"bed\.npy is cut short"):
        pack(read_quickdraw(archive), tmp_path / "q", "quickdraw", 28, source="q")
