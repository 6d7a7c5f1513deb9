import pytest

from dass.datasets.archives.opening import open_archive
from dass.datasets.layouts.class_folder import read_class_folder
from dass.errors import DassError


def _read(path):
    with open_archive(path) as archive:
        return read_class_folder(archive)


def _names(entries):
    return [entry.name for entry in entries]


def test_folder_and_zip_and_wrapped_zip(class_files, put_folder, put_zip):
    files = class_files()
    wrapped = {f"my set/v1/{name}": data for name, data in files.items()} | {"my set/README.txt": b"hello"}
    listings = [_read(path) for path in (put_folder(files), put_zip(files), put_zip(wrapped, "wrapped.zip"))]
    for listing in listings:
        assert listing.classes == ("cat", "dog")
        assert _names(listing.train) == sorted(name for name in files if name.startswith("train"))
        assert [entry.label for entry in listing.test] == [0, 0, 0, 1, 1, 1]
        assert "train/ and test/" in listing.split_rule


def test_reading_gives_the_bytes(class_files, put_zip):
    files = class_files()
    with open_archive(put_zip({f"top/{name}": data for name, data in files.items()})) as archive:
        listing = read_class_folder(archive)
        assert listing.read("train/dog/001.png") == files["train/dog/001.png"]


@pytest.mark.parametrize("parts", [("",), ("train",)])
def test_without_a_test_part_the_split_is_by_hash(class_files, put_folder, put_zip, parts):
    files = class_files(parts=parts, images=40)
    first, second = _read(put_folder(files)), _read(put_zip(dict(reversed(files.items()))))
    assert (first.train, first.test) == (second.train, second.test)
    assert len(first.test) == 16
    assert [sum(entry.label == label for entry in first.test) for label in (0, 1)] == [8, 8]
    assert not set(first.train) & set(first.test)
    assert "SHA-256" in first.split_rule


def test_val_takes_the_place_of_test_but_not_beside_it(class_files, put_folder):
    listing = _read(put_folder(class_files(parts=("train", "val"))))
    assert all(name.startswith("val/") for name in _names(listing.test))
    listing = _read(put_folder(class_files(parts=("train", "val", "test")), "other"))
    assert all(name.startswith("test/") for name in _names(listing.test))


def test_other_files_are_passed_over_and_deeper_images_count(class_files, put_folder, image_bytes):
    files = class_files() | {"train/cat/notes.txt": b"", "train/cat/more/9.jpg": image_bytes(kind="JPEG"), "a.csv": b""}
    assert len(_read(put_folder(files)).train) == 7


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"readme.txt": b""}, "has no classes"),
        ({}, "has no classes"),
        ({"1.png": b"", "2.png": b""}, "has no classes"),
        ({"train/cat/1.png": b"", "train/cat/2.png": b""}, "has the class 'cat' only"),
    ],
)
def test_no_classes(put_folder, put_zip, files, message):
    for path in (put_zip(files), put_folder(files | {"note.md": b""})):
        with pytest.raises(DassError, match=message):
            _read(path)


@pytest.mark.parametrize("extra", ["train/bird/", "test/bird/", "train/bird/notes.txt"])
def test_a_class_with_no_images(class_files, put_folder, put_zip, extra):
    files = class_files() | {extra: b""}
    for path in (put_folder(files), put_zip(files)):
        with pytest.raises(DassError, match="class 'bird'"):
            _read(path)


def test_class_with_no_images_in_both_parts(class_files, put_folder):
    files = class_files() | {"train/bird/": b"", "test/bird/": b""}
    with pytest.raises(DassError, match="class 'bird' has no train images"):
        _read(put_folder(files))


def test_a_class_with_one_image_cannot_be_split(class_files, put_folder, image_bytes):
    files = class_files(parts=("",)) | {"bird/1.png": image_bytes()}
    with pytest.raises(DassError, match="class 'bird' has no test images"):
        _read(put_folder(files))


def test_the_same_samples_as_torchvision(class_files, put_folder):
    from torchvision.datasets import ImageFolder  # takes seconds to import

    folder = put_folder(class_files(classes=("b", "a", "C")))
    listing = _read(folder)
    for part, entries in (("train", listing.train), ("test", listing.test)):
        theirs = ImageFolder(str(folder / part))
        assert tuple(theirs.classes) == listing.classes
        assert [(f"{folder}/{entry.name}", entry.label) for entry in entries] == theirs.samples
