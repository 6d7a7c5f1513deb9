import re

import pytest

from dass.datasets.catalogue import all_datasets, find_dataset

PAPER = {
    "tiny-imagenet", "cub", "stanford_cars", "dtd", "quickdraw", "plantvillage", "eurosat", "isic", "chestx", "imagenet"
}  # fmt: skip


def test_every_dataset_of_the_paper_is_there():
    assert {dataset.name for dataset in all_datasets()} == PAPER | {"quickdraw_full", "glyphs", "digits"}


@pytest.mark.parametrize("dataset", all_datasets(), ids=lambda dataset: dataset.name)
def test_entries_are_complete(dataset):
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", dataset.name)
    assert all((dataset.title, dataset.licence, dataset.citation, dataset.page))
    assert dataset.page.startswith("http")
    assert bool(dataset.give) != (dataset.make is not None)
    if dataset.remote is not None:
        assert re.fullmatch(r"[0-9a-f]{32}", dataset.remote.md5)
        assert dataset.remote.url.endswith((".zip", ".tgz", ".tar.gz"))
    assert find_dataset(dataset.name) is dataset


def test_unknown_name():
    assert find_dataset("my-own") is None
