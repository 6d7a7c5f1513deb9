import pytest

from dass.datasets.archives.opening import open_archive
from dass.datasets.layouts.dtd import read_dtd
from dass.errors import DassError


@pytest.fixture
def files(image_bytes):
    """The layout of dtd-r1.0.1: two textures, six images each, two in every list of split 1."""
    made = {}
    lists = {"train1": [], "val1": [], "test1": []}
    for texture in ("banded", "blotchy"):
        for number, part in enumerate(sorted(lists) * 2):
            name = f"{texture}/{texture}_{number:04}.jpg"
            made[f"dtd/images/{name}"] = image_bytes(number, (40, 30), kind="JPEG")
            lists[part].append(name)
    texts = {f"dtd/labels/{part}.txt": "\n".join(names).encode() + b"\n" for part, names in lists.items()}
    return made | texts | {"dtd/imdb/imdb.mat": b""}


def test_first_split_as_torchvision_reads_it(files, put_folder, tmp_path):
    from torchvision.datasets import DTD  # takes seconds to import

    with open_archive(put_folder(files, "dtd")) as archive:
        listing = read_dtd(archive)
    assert listing.classes == ("banded", "blotchy")
    assert (len(listing.train), len(listing.test)) == (8, 4)
    for splits, entries in ((("train", "val"), listing.train), (("test",), listing.test)):
        theirs = [DTD(str(tmp_path), split=split) for split in splits]
        samples = [
            (str(path.relative_to(tmp_path / "dtd" / "dtd")), label)
            for dataset in theirs
            for path, label in zip(dataset._image_files, dataset._labels, strict=True)
        ]
        assert sorted((entry.name, entry.label) for entry in entries) == sorted(samples)


def test_a_missing_list(files, put_zip):
    del files["dtd/labels/val1.txt"]
    with open_archive(put_zip(files)) as archive, pytest.raises(DassError, match=r"has no file labels/val1\.txt"):
        read_dtd(archive)
