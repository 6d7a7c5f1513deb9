import re

import pytest

from dass.datasets.archives.opening import open_archive
from dass.datasets.layouts.cub import read_cub
from dass.datasets.packing import pack
from dass.errors import DassError


@pytest.fixture
def files(image_bytes):
    """Three birds of four images each; ids are in the publisher's order, which is not that of the label file."""
    birds = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross")
    names = [f"{bird}/{bird[4:]}_{number:04}_{number}.jpg" for bird in birds for number in range(4)]
    images = {
        f"CUB_200_2011/images/{name}": image_bytes(seed, (30, 20), kind="JPEG") for seed, name in enumerate(names)
    }
    lists = {
        "images.txt": [f"{number} {name}" for number, name in enumerate(names, 1)],
        "classes.txt": [f"{number} {bird}" for number, bird in enumerate(birds, 1)],
        "image_class_labels.txt": [f"{number} {(number - 1) // 4 + 1}" for number in range(12, 0, -1)],
        "train_test_split.txt": [f"{number} {int(number % 2 == 0)}" for number in range(1, 13)],
        "bounding_boxes.txt": [f"{number} 1.0 2.0 3.0 4.0" for number in range(1, 13)],
    }
    texts = {f"CUB_200_2011/{name}": "\n".join(lines).encode() + b"\n" for name, lines in lists.items()}
    return images | texts | {"attributes.txt": b"1 has_bill_shape::curved\n"}


def test_official_split_and_readable_names(files, put_zip, tmp_path):
    with open_archive(put_zip(files)) as archive:
        listing = read_cub(archive)
        assert listing.classes == ("Black footed Albatross", "Laysan Albatross", "Sooty Albatross")
        assert [entry.label for entry in listing.train] == [0, 0, 1, 1, 2, 2]
        assert [entry.name[-6:] for entry in listing.train[:2]] == ["_1.jpg", "_3.jpg"]
        assert [entry.name[-6:] for entry in listing.test[:2]] == ["_0.jpg", "_2.jpg"]
        assert pack(listing, tmp_path / "cub-16", "cub", 16, source="CUB_200_2011.tgz").card.train_count == 6


@pytest.mark.parametrize("name", ["images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt"])
def test_missing_or_cut_lists(files, put_zip, name):
    path = f"CUB_200_2011/{name}"
    cut = files[path][: len(files[path]) // 3].rsplit(b" ", 1)[0]
    for damaged in (files | {path: cut}, {key: data for key, data in files.items() if key != path}):
        with open_archive(put_zip(damaged)) as archive, pytest.raises(DassError, match=re.escape(name)):
            read_cub(archive)
