import numpy as np
import pytest
from PIL import Image

from dass.datasets.check import ClassCount, Duplicate, _evenly, check, contact_sheet
from dass.datasets.listing import Entry, Listing
from dass.datasets.packing import pack
from dass.errors import DassError


@pytest.fixture
def packed(tmp_path):
    """Two classes; one test image repeats a train image of the other class, one train image repeats a third."""
    greys = {"a0": 10, "a1": 20, "a2": 10, "b0": 30, "b1": 40, "s0": 50, "t0": 20, "t1": 60, "t2": 60}
    train = tuple(Entry(int(name[0] == "b"), name) for name in ("a0", "a1", "a2", "b0", "b1"))
    test = tuple(Entry(int(name[0] == "t"), name) for name in ("s0", "t0", "t1", "t2"))
    listing = Listing(
        ("alpha β", "Щ" * 60),
        train,
        test,
        lambda name: np.full((8, 8), greys[name], dtype=np.uint8),
        "by hand",
    )
    return pack(listing, tmp_path / "set-16", "set", 16, source="s")


def test_report(packed):
    report = check(packed)
    assert report.counts == (ClassCount("alpha β", 3, 1), ClassCount("Щ" * 60, 2, 3))
    assert report.duplicates == (Duplicate(1, 1, "alpha β", "Щ" * 60),)
    assert (report.repeated_train, report.repeated_test) == (1, 1)
    assert report.skipped == ()


def test_damage_is_found(packed):
    path = packed.folder / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    with pytest.raises(DassError, match="is not what was packed"):
        check(packed)


def test_contact_sheet(packed, tmp_path):
    contact_sheet(packed, tmp_path / "sheets" / "set.png", per_class=2)
    with Image.open(tmp_path / "sheets" / "set.png") as sheet:
        assert sheet.size == (220 + 2 * 34, 2 * 34)
        pixels = np.asarray(sheet)
    assert (pixels[16, 236] == 10).all()
    assert (pixels[50, 236 + 34] == 40).all()
    assert pixels[:34, :220].min() < 100  # the name is written


@pytest.mark.parametrize(("count", "wanted", "picked"), [(5, 3, [0, 2, 4]), (2, 9, [0, 1]), (1, 3, [0]), (0, 3, [])])
def test_even_picks(count, wanted, picked):
    assert _evenly(count, wanted) == picked
