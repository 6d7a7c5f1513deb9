"""Folders as people have them: what each is taken for. The next report is one more row."""

import os
import socket

import pytest

from dass.datasets.importing import ImportOptions, import_dataset
from dass.errors import DassError

CAT_DOG = {"cat": 5, "dog": 5}


def _tree(image_bytes, spec):
    """Files of a nested dict of folders; a number is so many images directly in a folder."""
    files = {}

    def put(path, content):
        if isinstance(content, int):
            for number in range(content):
                files[f"{path}/{number}.png"] = image_bytes(len(files))
        else:
            for name, inner in content.items():
                put(f"{path}/{name}" if path else name, inner)

    put("", spec)
    return files


def _import(folder, options=None):
    return import_dataset("mine", folder, folder.parent / "raw", 16, options=options).card


PARTS = [
    ("Training", "Testing"), ("TRAIN", "TEST"), ("Train", "Valid"), ("training_set", "test_set"), ("train", "test "),
    ("trainset", "testset"), ("trainData", "testData"), ("train", "testing"), ("train", "eval"), ("train", "dev"),
    ("train2017", "val2017"), ("training-images", "validation-images"), ("seg_train", "seg_test"),
    ("cars_train", "cars_test"), ("训练集", "测试集"), ("train", "holdout"),
]  # fmt: skip


@pytest.mark.parametrize(("train", "test"), PARTS)
def test_names_of_parts(image_bytes, put_folder, train, test):
    card = _import(put_folder(_tree(image_bytes, {train: CAT_DOG, test: {"cat": 2, "dog": 3}})))
    assert (card.classes, card.train_count, card.test_count) == (("cat", "dog"), 10, 5)
    assert f"{train}/" in card.split_rule and f"{test}/" in card.split_rule


# Layout, classes, images to train on, images to test on, and what the notes must name.
UNDERSTOOD = {
    "each part wrapped in itself": (
        {"seg_train": {"seg_train": CAT_DOG}, "seg_test": {"seg_test": CAT_DOG}, "seg_pred": {"seg_pred": 4}},
        ("cat", "dog"), 10, 10, ["seg_pred/"],
    ),
    "wrapped": ({"a": {"b": {"train": CAT_DOG, "test": CAT_DOG}}}, ("cat", "dog"), 10, 10, []),
    "parts in a folder beside notes without images": (
        {"data": {"train": CAT_DOG, "test": CAT_DOG}, "docs": {}}, ("cat", "dog"), 10, 10, [],
    ),
    "flat test": ({"train": CAT_DOG, "test": 4}, ("cat", "dog"), 8, 2, ["test/", "4 image"]),
    "flat test in a folder": ({"train": CAT_DOG, "test": {"images": 4}}, ("cat", "dog"), 8, 2, ["test/"]),
    "flat test, val with classes": (
        {"train": CAT_DOG, "val": {"cat": 1, "dog": 2}, "test": 4}, ("cat", "dog"), 10, 3, ["test/", "val/"],
    ),
    "val beside test": (
        {"train": CAT_DOG, "val": {"cat": 1, "dog": 2}, "test": CAT_DOG}, ("cat", "dog"), 10, 10, ["val/", "3 image"],
    ),
    "a class named train": ({"bus": 5, "car": 5, "train": 5}, ("bus", "car", "train"), 12, 3, []),
    "a class named train in both parts": (
        {"train": {"bus": 5, "train": 5}, "test": {"bus": 2, "train": 2}}, ("bus", "train"), 10, 4, [],
    ),
    "a class named train, images a folder deeper": (
        {"bus": {"images": 5}, "train": {"images": 5}}, ("bus", "train"), 8, 2, [],
    ),
    "classes named valid and invalid": ({"valid": 5, "invalid": 5}, ("invalid", "valid"), 8, 2, []),
    "classes that contain such words": ({"train station": 5, "test tube": 5}, ("test tube", "train station"), 8, 2, []),
    "images in folders of each class": (
        {"train": {"n1": {"images": 5}, "n2": {"images": 5}}}, ("n1", "n2"), 8, 2, [],
    ),
    "samples of a part, and a flat test": (
        {"trainingSet": {"trainingSet": CAT_DOG}, "trainingSample": {"trainingSample": CAT_DOG}, "testSet": 3},
        ("cat", "dog"), 8, 2, ["trainingSample/", "testSet/"],
    ),
    "samples beside the parts": (
        {"train": CAT_DOG, "test": CAT_DOG, "samples": 3}, ("cat", "dog"), 10, 10, ["samples/"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("layout", "classes", "train", "test", "named"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_what_each_folder_is_taken_for(image_bytes, put_folder, layout, classes, train, test, named):
    card = _import(put_folder(_tree(image_bytes, layout)))
    assert (card.classes, card.train_count, card.test_count) == (classes, train, test)
    assert len(card.notes) == len({note.split(" ")[0] for note in card.notes})
    assert all(any(word in note for note in card.notes) for word in named)
    assert bool(card.notes) == bool(named)


# Layout, and what the one line must name.
REFUSED = {
    "a copy beside the classes": ({"set": {"cat": 3, "dog": 3, "set": {"cat": 3, "dog": 3}}}, "set/set"),
    "a copy beside the parts": ({"set": {"train": CAT_DOG, "test": CAT_DOG, "set": {"train": CAT_DOG}}}, "set/"),
    "parts of unknown names": ({"day": CAT_DOG, "night": CAT_DOG}, "day/ and night/"),
    "copies in colours": ({"color": {"a": {"cat": 3, "dog": 3}}, "grey": {"cat": 3, "dog": 3}}, "color/ and grey/"),
    "an unknown part beside train": ({"train": CAT_DOG, "exam": CAT_DOG}, "exam/"),
    "parts within classes": ({"cat": {"train": 3, "test": 3}, "dog": {"train": 3, "test": 3}}, "cat/"),
    "two datasets": ({"a": {"train": CAT_DOG, "test": CAT_DOG}, "b": {"train": CAT_DOG, "test": CAT_DOG}}, "a/"),
    "two train parts": ({"train": CAT_DOG, "Training": CAT_DOG}, "Training/, train/"),
    "two test parts": ({"train": CAT_DOG, "test": CAT_DOG, "Testing": CAT_DOG}, "Testing/"),
    "no train part": ({"test": CAT_DOG, "val": CAT_DOG}, "no train part"),
    "flat parts": ({"train": 3, "test": 3}, "test/, train/"),
    "flat parts beside others": ({"train": 3, "test": 3, "masks": 3}, "test/, train/"),
    "train with folders beside classes": ({"train": {"day": 3, "night": 3}, "bus": 3, "car": 3}, "bus/, car/"),
    "classes that differ in case": ({"train": CAT_DOG, "test": {"Cat": 3, "Dog": 3}}, "'Cat'"),
    "other classes": ({"train": CAT_DOG, "test": {"0": 3, "1": 3}}, "'0'"),
    "an empty class of the test part": ({"train": CAT_DOG, "test": {"cat": 3, "dog": {"none": 0}}}, "dog"),
}  # fmt: skip


@pytest.mark.parametrize(("layout", "named"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_for_what_it_looks_like(image_bytes, put_folder, layout, named):
    folder = put_folder(_tree(image_bytes, layout))
    with pytest.raises(DassError) as caught:
        _import(folder)
    assert named in str(caught.value) and "\n" not in str(caught.value)
    assert not list((folder.parent / "raw").glob("mine*"))


def test_one_of_two_copies_may_be_named(image_bytes, put_folder):
    folder = put_folder(_tree(image_bytes, {"cat": 3, "dog": 3, "set": {"cat": 5, "dog": 5}}))
    assert _import(folder, ImportOptions(inside="set")).train_count == 8
    with pytest.raises(DassError, match="nowhere"):
        _import(folder, ImportOptions(inside="nowhere"))


def test_loose_images_and_other_files_are_counted(image_bytes, put_folder):
    files = _tree(image_bytes, CAT_DOG) | {"preview.png": image_bytes(), "cat/notes.TXT": b"x", "cat/README": b"x"}
    card = _import(put_folder(files))
    assert (card.train_count, card.test_count) == (8, 2)
    assert card.passed_over == {".png": 1, ".txt": 1, "no ending": 1}
    assert any("1 image(s) lie outside" in note for note in card.notes)


def test_links_are_followed_but_not_in_circles(image_bytes, put_folder):
    real = put_folder(_tree(image_bytes, {"train": CAT_DOG, "test": CAT_DOG}), "real")
    blob = put_folder({"blob": image_bytes(99)}, "blobs") / "blob"
    links = real.parent / "links"
    links.mkdir()
    for part in ("train", "test"):
        (links / part).symlink_to(real / part)
    (real / "train" / "cat" / "linked.png").symlink_to(blob)  # as in a snapshot of Hugging Face
    (real / "train" / "cat" / "up").symlink_to(real / "train")
    (links / ".cache").symlink_to(links / "leads nowhere")
    card = _import(links)
    assert (card.train_count, card.test_count) == (11, 10)
    assert card.passed_over == {"(link in a circle)": 1}


def test_links_that_fork_at_each_step_are_refused(image_bytes, put_folder):
    folder = put_folder({f"{number}/1.png": image_bytes() for number in range(24)})
    for number in range(23):
        for name in ("left", "right"):
            (folder / str(number) / name).symlink_to(folder / str(number + 1))
    with pytest.raises(DassError, match="more than 10 links"):
        _import(folder)


def test_a_link_that_leads_nowhere_is_named(image_bytes, put_folder):
    folder = put_folder(_tree(image_bytes, CAT_DOG))
    (folder / "cat" / "gone.png").symlink_to(folder / "unmounted")
    with pytest.raises(DassError, match=r"gone\.png is a link"):
        _import(folder)


def test_pipes_and_sockets_do_not_hang(image_bytes, put_folder, tmp_path, monkeypatch):
    folder = put_folder(_tree(image_bytes, CAT_DOG))
    os.mkfifo(folder / "cat" / "pipe.png")
    monkeypatch.chdir(folder)  # an address of a socket must be short
    with socket.socket(socket.AF_UNIX) as here:
        here.bind("socket.png")
        card = _import(folder)
    assert card.passed_over == {"(pipe, socket or device)": 2}
    with pytest.raises(DassError, match="neither a folder nor a file"):
        import_dataset("mine", folder / "cat" / "pipe.png", tmp_path / "raw", 16)


def test_one_name_in_two_spellings(image_bytes, put_folder):
    """macOS stores accents apart from their letters (NFD), others do not (NFC)."""
    composed, apart = "caf\u00e9", "cafe\u0301"
    layout = {"train": {apart: 5, "dog": 5}, "test": {composed: 2, "dog": 2}}
    card = _import(put_folder(_tree(image_bytes, layout)))
    assert card.classes == (composed, "dog")
    both = put_folder({f"{composed}/1.png": image_bytes(), f"{apart}/1.png": image_bytes(), "dog/1.png": b""}, "both")
    with pytest.raises(DassError, match="two spellings"):
        _import(both)


def test_names_that_are_not_utf8(image_bytes, put_folder):
    odd = os.fsdecode("café".encode("latin-1"))
    layout = {"train": {odd: 5, "dog": 5}, "test": {odd: 2, "dog": 2}}
    card = _import(put_folder(_tree(image_bytes, layout)))
    assert card.classes == ("café", "dog")
    assert any("latin-1" in note for note in card.notes)
