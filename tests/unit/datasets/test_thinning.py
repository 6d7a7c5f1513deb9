import zipfile

import pytest

from dass.datasets.importing import import_dataset
from dass.datasets.thinning import thin
from dass.errors import DassError, UsageError


def test_keeps_some_training_images_evenly_and_all_else_to_the_same_bytes(put_zip, tmp_path):
    names = [f"set/train/{name}/images/{number:02}.JPEG" for name in ("cat", "dog") for number in range(10)]
    others = ["set/train/cat/boxes.txt", "set/val/images/a.JPEG", "set/wnids.txt", "set/train/few/images/a.png"]
    files = {name: name.encode() for name in names + others}
    out = tmp_path / "thin.zip"
    assert thin(put_zip(files), out, 4) == (9, 21)
    with zipfile.ZipFile(out) as zipped:
        kept = set(zipped.namelist())
        assert all(zipped.read(name) == name.encode() for name in kept)
    assert kept >= set(others)
    assert sorted(name[-7:-5] for name in kept if "/cat/images/" in name) == ["00", "02", "05", "07"]
    first = out.read_bytes()
    assert thin(put_zip(files), out, 4) == (9, 21)
    assert out.read_bytes() == first
    assert thin(put_zip(files), out, 99) == (21, 21)


def test_what_it_writes_is_imported_as_before(class_files, put_zip, tmp_path):
    whole = import_dataset("mine", put_zip(class_files()), tmp_path / "raw", 16).card
    assert thin(put_zip(class_files()), tmp_path / "thin.zip", 2)[0] == 2 * len(whole.classes)
    card = import_dataset("mine", tmp_path / "thin.zip", tmp_path / "raw", 16).card
    assert (card.classes, card.test_count) == (whole.classes, whole.test_count)
    assert card.train_count == 2 * len(whole.classes)


@pytest.mark.parametrize("parts", [("Training", "Testing"), ("seg_train/seg_train", "seg_test/seg_test")])
def test_parts_of_any_usual_name(class_files, put_zip, tmp_path, parts):
    assert thin(put_zip(class_files(parts=parts)), tmp_path / "thin.zip", 2) == (4, 6)
    card = import_dataset("mine", tmp_path / "thin.zip", tmp_path / "raw", 16).card
    assert (card.train_count, card.test_count) == (4, 6)


@pytest.mark.parametrize(
    ("files", "out", "per_folder", "message"),
    [
        ({"train/a/1.png": b""}, "thin.zip", 0, "--per-folder must be at least 1, found 0"),
        ({"train/a/1.png": b""}, "thin.tar", 1, r"thin\.tar is not a \.zip"),
        ({"images/train.png": b"", "train/a/boxes.txt": b""}, "thin.zip", 1, "no images below a folder named train"),
    ],
)
def test_bad_input_is_refused(put_zip, tmp_path, files, out, per_folder, message):
    with pytest.raises(UsageError, match=message):
        thin(put_zip(files), tmp_path / out, per_folder)
    assert not (tmp_path / out).exists()


def test_what_is_thinned_is_not_written_over(put_zip, put_folder):
    files = {f"train/a/{number}.png": b"" for number in range(3)}
    archive, folder = put_zip(files), put_folder(files)
    before = archive.read_bytes()
    for given, out in ((archive, archive), (folder, folder / "thin.zip")):
        with pytest.raises(UsageError, match="another place"):
            thin(given, out, 1)
    assert archive.read_bytes() == before
    assert not (folder / "thin.zip").exists()


def test_test_images_are_kept_whatever_their_class_is_called(put_zip, tmp_path):
    names = [f"{part}/{name}/{i}.png" for part in ("train", "test") for name in ("car", "train") for i in range(3)]
    wrapped = [f"train/val/bus/{i}.png" for i in range(3)]
    assert thin(put_zip(dict.fromkeys(names + wrapped, b"")), tmp_path / "thin.zip", 1) == (2, 6)
    with zipfile.ZipFile(tmp_path / "thin.zip") as zipped:
        assert {name for name in names if name.startswith("test")} | set(wrapped) < set(zipped.namelist())


def test_a_place_that_cannot_be_written_is_an_error(put_zip, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DassError, match="file"):
        thin(put_zip({"train/a/1.png": b""}), tmp_path / "file" / "thin.zip", 1)
