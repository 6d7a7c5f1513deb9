"""Images whose classes a table says."""

import json

import pytest

from dass.datasets.importing import ImportOptions, import_dataset
from dass.errors import DassError, UsageError


def _images(image_bytes, *names):
    return {name: image_bytes(seed) for seed, name in enumerate(names)}


def _import(folder, options=None):
    return import_dataset("mine", folder, folder.parent / "raw", 16, options=options)


def _csv(header, *rows):
    return "\n".join((header, *rows)).encode()


def _many(folder, count=10):
    return [f"{folder}/{number}.png" for number in range(count)]


TABLES = {
    "Hugging Face": {
        f"{part}/metadata.csv": _csv("file_name,label", *(f"{number}.png,{'ab'[number % 2]}" for number in range(10)))
        for part in ("train", "test")
    },
    "Hugging Face, lines of JSON": {
        f"{part}/metadata.jsonl": "\n".join(
            json.dumps({"file_name": f"{number}.png", "label": "ab"[number % 2]}) for number in range(10)
        ).encode()
        for part in ("train", "test")
    },
    "Kaggle": {
        "train.csv": _csv("id,breed", *(f"{number},{'ab'[number % 2]}" for number in range(10))),
        "test_labels.csv": _csv("Image ID,Class", *(f"test/{number}.png,{'ab'[number % 2]}" for number in range(10))),
        "sample_submission.csv": _csv("id,breed", "1,a"),
    },
    "one table with a column of parts": {
        "labels.csv": _csv(
            "path,split,label",
            *(f"{part}/{number}.png,{part},{'ab'[number % 2]}" for part in ("train", "test") for number in range(10)),
        )
    },
}


@pytest.mark.parametrize("tables", TABLES.values(), ids=TABLES)
def test_layouts(image_bytes, put_folder, tables):
    folder = put_folder(_images(image_bytes, *_many("train"), *_many("test")) | tables)
    packed = _import(folder)
    assert packed.card.classes == ("a", "b")
    assert next(iter(tables)) in packed.card.split_rule
    assert (packed.card.train_count, packed.card.test_count) == (10, 10)
    assert packed.train_labels.tolist() == [0] * 5 + [1] * 5
    # The same image in the same class as in folders of classes.
    as_folders = {
        f"{part}/{'ab'[number % 2]}/{number}.png": (folder / part / f"{number}.png").read_bytes()
        for part in ("train", "test")
        for number in range(10)
    }
    assert _import(put_folder(as_folders, "folders")).card.content == packed.card.content


def test_labels_of_the_train_part_alone(image_bytes, put_folder):
    """The test part has images of the same names."""
    rows = [f"{number};{'ab'[number % 2]}" for number in range(10)]
    files = _images(image_bytes, *_many("train"), *_many("test")) | {"labels.csv": _csv("id;breed", *rows)}
    card = _import(put_folder(files)).card
    assert (card.classes, card.train_count, card.test_count) == (("a", "b"), 8, 2)
    assert card.passed_over == {".csv": 1, ".png": 10}


def test_a_table_of_hugging_face_goes_before_folders(image_bytes, put_folder):
    """Snapshots hold images in numbered folders, which are no classes."""
    images = _images(image_bytes, *_many("data/0000"), *_many("data/0001"))
    rows = [f"000{half}/{number}.png,{'xy'[number % 2]}" for half in (0, 1) for number in range(10)]
    card = _import(put_folder(images | {"data/metadata.csv": _csv("file_name,label", *rows)})).card
    assert card.classes == ("x", "y")
    assert (card.train_count, card.test_count) == (16, 4)


@pytest.mark.parametrize(
    ("encoding", "label"),
    [("utf-8-sig", "caf\u00e9"), ("utf-16", "caf\u00e9"), ("cp1252", "caf\u00e9"), ("gbk", "小麦病害")],
)
def test_tables_of_spreadsheets(image_bytes, put_folder, encoding, label):
    rows = "\r\n".join(("image,label", *(f"{number},{(label, 'dog')[number % 2]}" for number in range(10))))
    files = _images(image_bytes, *_many("images")) | {"labels.csv": rows.encode(encoding)}
    assert set(_import(put_folder(files)).card.classes) == {label, "dog"}


def test_numbers_are_sorted_as_such(image_bytes, put_folder):
    rows = [f"{number}.png,{number % 11}" for number in range(33)]
    files = _images(image_bytes, *_many("images", 33)) | {"labels.csv": _csv("image,label", *rows)}
    assert _import(put_folder(files)).card.classes == tuple(str(number) for number in range(11))


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (["0.png,a", "1.png,b", "99.png,a"], "99.png"),
        (["0.png,a", "1.png,b", "0.png,b"], "two classes"),
        (["0.png,a", "1.png,a"], "the class 'a' only"),
    ],
)
def test_damage(image_bytes, put_folder, rows, named):
    files = _images(image_bytes, *_many("images")) | {"labels.csv": _csv("file,label", *rows)}
    with pytest.raises(DassError, match=named):
        _import(put_folder(files))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"a,b\n\0,1",
        b'"',
        b"file,label\n",
        b"file\n1\n",
        b"label,label\n1,2",
        b"5",
        b"[1]",
        b"[" * 9999,
    ],
)
@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv", "train/labels.jsonl", "train/metadata.jsonl"])
def test_what_is_no_table_of_labels_is_passed_over(class_files, put_folder, name, data):
    card = _import(put_folder(class_files() | {name: data})).card
    assert (card.classes, card.passed_over) == (("cat", "dog"), {f".{name.rsplit('.')[-1]}": 1})


def test_class_folders_go_before_other_tables_unless_the_user_says_so(image_bytes, put_folder):
    """As with archives whose images lie in folders by number, with a table beside them."""
    images = _images(image_bytes, *_many("part_1"), *_many("part_2"))
    rows = [f"part_{half}/{number},{'xy'[number % 2]}" for half in (1, 2) for number in range(10)]
    for name in ("HAM_metadata.csv", "metadata.csv"):
        folder = put_folder(images | {name: _csv("image_id,dx", *rows), "other.csv": b"a,b\n1,2\n"}, f"of {name}")
        card = _import(folder).card
        assert card.classes == ("part_1", "part_2")
        assert any(f"--labels {name}" in note for note in card.notes)
        card = _import(folder, ImportOptions(labels=name)).card
        assert (card.classes, card.train_count, card.test_count) == (("x", "y"), 16, 4)
    with pytest.raises(UsageError, match=r"no\.csv"):
        _import(folder, ImportOptions(labels="no.csv"))
    with pytest.raises(DassError, match=r"other\.csv must have"):
        _import(folder, ImportOptions(labels="other.csv"))
