import io
import tarfile

import pytest

from dass.datasets.importing import import_dataset
from dass.errors import DassError, UsageError


def test_a_dataset_of_the_users_own(class_files, put_zip, tmp_path):
    calls = []
    packed = import_dataset("mine", put_zip(class_files()), tmp_path / "raw", 16, lambda *now: calls.append(now))
    assert packed.folder == tmp_path / "raw" / "mine-16"
    assert (packed.card.name, packed.card.source) == ("mine", "set.zip")
    assert calls[-1] == (12, 12)


def test_folder_zip_and_tar_give_the_same_bytes(class_files, put_zip, put_folder, tmp_path):
    files = class_files()
    tar_path = tmp_path / "set.tar.gz"
    with tarfile.open(tar_path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"top/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    contents = {
        import_dataset("mine", path, tmp_path / "raw", 16).card.content
        for path in (put_zip(files), put_folder(files), tar_path)
    }
    assert len(contents) == 1
    assert not list((tmp_path / "raw").glob(".unpacked*"))


@pytest.mark.parametrize("name", ["dtd", "quickdraw", "cub", "tiny-imagenet"])
def test_a_known_dataset_passed_on_as_class_folder(class_files, put_zip, tmp_path, name):
    assert import_dataset(name, put_zip(class_files()), tmp_path / "raw", 16).card.classes == ("cat", "dog")


def test_a_known_dataset_that_is_neither(put_zip, tmp_path):
    with pytest.raises(DassError, match=r"no labels/train1\.txt"):
        import_dataset("dtd", put_zip({"readme.txt": b""}), tmp_path / "raw", 16)
    assert not (tmp_path / "raw").exists()


def test_digits_need_no_path(tmp_path):
    assert import_dataset("digits", None, tmp_path, 16).card.train_count == 1438
    with pytest.raises(UsageError, match="reads no file"):
        import_dataset("digits", tmp_path, tmp_path, 16)


@pytest.mark.parametrize(
    ("name", "resolution", "message"),
    [
        ("My Set", 16, "dataset name"),
        ("../up", 16, "dataset name"),
        ("", 16, "dataset name"),
        ("mine", 20, "multiple of 8"),
        ("mine", 8, "multiple of 8"),
        ("mine", 16, "needs a path"),
        ("cub", 16, "CUB_200_2011.tgz"),
    ],
)
def test_wrong_use(tmp_path, name, resolution, message):
    with pytest.raises(UsageError, match=message):
        import_dataset(name, None, tmp_path, resolution)


def test_a_scratch_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "set.tar").write_bytes(b"")
    (tmp_path / "raw").write_bytes(b"a file")
    with pytest.raises(DassError, match="cannot unpack into"):
        import_dataset("mine", tmp_path / "set.tar", tmp_path / "raw", 16)
