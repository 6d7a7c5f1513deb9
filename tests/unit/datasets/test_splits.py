import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dass.datasets.listing import Entry, Listing
from dass.datasets.packing import pack
from dass.datasets.splits import load_split, make_splits, read_split, write_split
from dass.errors import DassError, UsageError

CLASSES, IMAGES = 12, 7


def _pack(folder, images=IMAGES, shade=0):
    """Every image's red is its class, its green its number."""
    entries = tuple(Entry(label, f"{label}/{number}") for label in range(CLASSES) for number in range(images))

    def read(name: str) -> np.ndarray:
        label, number = name.split("/")
        return np.full((8, 8, 3), (int(label), int(number), shade), dtype=np.uint8)

    classes = tuple(f"class{label}" for label in range(CLASSES))
    return pack(Listing(classes, entries, entries[::images], read, "by hand"), folder, "set", 8, source="s")


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return _pack(tmp_path_factory.mktemp("splits") / "set-8")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.integers(1, 6), size=st.none() | st.integers(2, 4), seed=st.integers(0, 10**9))
def test_groups_are_disjoint_and_halves_are_swapped(packed, groups, size, seed):
    expected = size or CLASSES // groups
    if groups * expected > CLASSES:
        with pytest.raises(UsageError, match="classes_per_group"):
            make_splits(packed, groups, size, seed)
        return
    splits = make_splits(packed, groups, size, seed)
    assert [split.index for split in splits] == list(range(2 * groups))
    used = [label for split in splits[::2] for label in split.classes]
    assert len(used) == len(set(used)) == groups * expected
    for first, second in zip(splits[::2], splits[1::2], strict=True):
        assert (first.classes, first.train, first.test) == (second.classes, second.test, second.train)
        assert not set(first.train) & set(first.test)
        assert set(packed.train_labels[list(first.train)]) == set(first.classes)
        assert np.bincount(packed.train_labels[list(first.train + first.test)]).max() == IMAGES
        assert list(first.train) == sorted(first.train)


def test_the_seed_decides(packed):
    assert make_splits(packed, 3, None, 5) == make_splits(packed, 3, None, 5)
    assert make_splits(packed, 3, None, 5) != make_splits(packed, 3, None, 6)


def test_file_round_trip_and_loading(packed, tmp_path):
    splits = make_splits(packed, 3, 4, 0)
    for split in splits:
        write_split(tmp_path / f"{split.name}.json", split)
        assert read_split(tmp_path / f"{split.name}.json") == split
    split = splits[3]
    data = load_split(packed.folder, split)
    assert data.name == "split3"
    assert data.classes == tuple(f"class{label}" for label in split.classes)
    assert data.train_images.shape == (4 * 4, 3, 8, 8)
    assert data.test_images.shape == (4 * 3, 3, 8, 8)
    assert data.train_images.is_contiguous(memory_format=torch.channels_last)
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        assert labels.dtype == torch.int64
        assert images[:, 0, 0, 0].tolist() == [split.classes[label] for label in labels]
    numbers = {tuple(image[:2, 0, 0].tolist()) for image in torch.cat([data.train_images, data.test_images])}
    assert len(numbers) == 28


def test_every_split_has_its_own_data_id(packed, tmp_path):
    ids = {load_split(packed.folder, split).data_id for split in make_splits(packed, 3, None, 0)}
    assert len(ids) == 6
    other = _pack(tmp_path / "other", shade=1)
    assert load_split(other.folder, make_splits(other, 3, None, 0)[0]).data_id not in ids


def test_a_split_of_another_dataset_is_refused(packed, tmp_path):
    other = _pack(tmp_path / "other", shade=1)
    with pytest.raises(DassError, match="run the splits stage again"):
        load_split(other.folder, make_splits(packed, 3, None, 0)[0])


def test_a_class_with_one_image_cannot_be_halved(tmp_path):
    with pytest.raises(DassError, match="two halves need at least 2"):
        make_splits(_pack(tmp_path / "one", images=1), 3, None, 0)


def test_damaged_files(packed, tmp_path):
    path = tmp_path / "split0.json"
    write_split(path, make_splits(packed, 3, None, 0)[0])
    value = json.loads(path.read_text())
    for damaged in ("[]", "{}", json.dumps(value | {"extra": 1}), json.dumps(value | {"train": 3}), "{"):
        path.write_text(damaged)
        with pytest.raises(DassError, match=r"split0\.json"):
            read_split(path)


def test_names(packed):
    assert replace(make_splits(packed, 2, 2, 0)[0], index=7).name == "split7"
