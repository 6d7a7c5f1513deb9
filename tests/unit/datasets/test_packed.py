import json

import numpy as np
import pytest

from dass.datasets.listing import Entry, Listing
from dass.datasets.packed import DatasetCard, open_packed
from dass.datasets.packing import pack
from dass.errors import DassError
from dass.sealed import read_sealed, write_sealed


@pytest.fixture
def folder(tmp_path):
    entries = tuple(Entry(label, f"{label}/{number}") for label in (0, 1) for number in range(3))
    rng = np.random.default_rng(0)
    listing = Listing(
        ("a", "b"), entries, entries, lambda _: rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), "by hand"
    )
    return pack(listing, tmp_path / "set-8", "set", 8, source="s").folder


def test_card_survives_json(folder):
    card = open_packed(folder).card
    assert DatasetCard.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_nothing_there(tmp_path):
    with pytest.raises(DassError, match="is not a packed dataset"):
        open_packed(tmp_path)


@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_images", "test_labels"])
def test_missing_or_cut_or_foreign_file(folder, name):
    path = folder / f"{name}.npy"
    whole = path.read_bytes()
    for damaged in (b"", whole[:50], whole[:-1], b"garbage" * 100):
        path.write_bytes(damaged)
        with pytest.raises(DassError, match=rf"{name}\.npy"):
            open_packed(folder)
    path.unlink()
    with pytest.raises(DassError, match=rf"{name}\.npy cannot be read"):
        open_packed(folder)


def test_pickles_are_not_loaded(folder):
    np.save(folder / "train_labels.npy", np.array([{}] * 6, dtype=object), allow_pickle=True)
    with pytest.raises(DassError, match="cannot be read"):
        open_packed(folder)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("train_images", np.zeros((6, 8, 8, 4), dtype=np.uint8)),
        ("train_images", np.zeros((6, 8, 8, 3), dtype=np.float32)),
        ("test_images", np.zeros((5, 8, 8, 3), dtype=np.uint8)),
        ("test_labels", np.zeros(6, dtype=np.int32)),
        ("train_labels", np.full(6, 2)),
        ("train_labels", np.full(6, -1)),
    ],
)
def test_arrays_that_do_not_fit(folder, name, array):
    np.save(folder / f"{name}.npy", array)
    with pytest.raises(DassError, match=rf"{name}\.npy holds"):
        open_packed(folder)


def test_one_changed_byte_is_found_by_verify(folder):
    path = folder / "test_images.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DassError, match=r"test_images\.npy"):
        open_packed(folder).verify()


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.pop("classes"),
        lambda card: card.update(extra=1),
        lambda card: card.update(resolution="8"),
        lambda card: card.update(train_count=0),
        lambda card: card["sha256"].pop("train_images"),
        lambda card: card.update(skipped=[{"name": "x"}]),
    ],
)
def test_damaged_card(folder, change):
    path = folder / "dataset.json"
    card = read_sealed(path)
    change(card)
    write_sealed(path, card)
    with pytest.raises(DassError, match=r"dataset\.json is damaged"):
        open_packed(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_card_that_is_no_card(folder, text):
    (folder / "dataset.json").write_text(text)
    with pytest.raises(DassError, match=r"dataset\.json"):
        open_packed(folder)
