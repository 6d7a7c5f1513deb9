"""Files that are either whole or absent: failing writers, full disks and folders that cannot be written."""

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dass.errors import DassError, UsageError
from dass.files import atomic_write, content_id, file_sha256, read_json, write_bytes, write_json, write_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@contextmanager
def without_privileges() -> Iterator[None]:
    """As a user to whom permissions apply; root may write anywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.txt"
    path.write_text("old")
    return path


def test_a_new_file_is_whole_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "new.bin"
    write_bytes(path, b"\x00new")
    assert path.read_bytes() == b"\x00new"
    assert [entry.name for entry in path.parent.iterdir()] == ["new.bin"]


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_a_new_file_has_the_rights_that_the_umask_gives(tmp_path: Path, umask: int) -> None:
    def write(temporary: Path) -> None:
        temporary.unlink()
        temporary.write_bytes(b"new")
        temporary.chmod(0o600)  # as a writer that puts a private file of its own in the place

    before = os.umask(umask)
    try:
        atomic_write(tmp_path / "new.bin", write)
        write_bytes(tmp_path / "other.bin", b"new")
    finally:
        os.umask(before)
    for name in ("new.bin", "other.bin"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize(("mode", "kept"), [(0o664, 0o664), (0o600, 0o600), (0o640, 0o640), (0o444, 0o644)])
def test_a_replaced_file_keeps_its_rights(old: Path, mode: int, kept: int) -> None:
    """Its owner may write it, though: DVC takes that from the files in its cache."""
    old.chmod(mode)
    write_bytes(old, b"new")
    assert stat.S_IMODE(old.stat().st_mode) == kept


def test_a_file_is_of_the_group_of_its_folder_where_that_hands_it_on(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder to any group")
    os.chown(tmp_path, -1, 12345)
    tmp_path.chmod(0o2775)
    write_bytes(tmp_path / "new.bin", b"new")
    assert (tmp_path / "new.bin").stat().st_gid == 12345


def test_a_name_too_long_for_the_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DassError, match="File name too long"):
        write_bytes(tmp_path / ("a" * 250), b"new")


def test_the_old_file_is_there_until_the_new_one_is_whole(old: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text("new")
        assert old.read_text() == "old"
        assert temporary.parent == old.parent  # a rename is atomic only within a disk

    atomic_write(old, write)
    assert old.read_text() == "new"


@pytest.mark.parametrize("failure", [RuntimeError("defect"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_the_old_file(old: Path, failure: BaseException) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text("half of the n")
        raise failure

    with pytest.raises(type(failure)):
        atomic_write(old, write)
    assert old.read_text() == "old"
    assert list(old.parent.iterdir()) == [old]


def test_a_full_disk_leaves_the_old_file(
    old: Path, file_size_limit: Callable[[int], AbstractContextManager[None]]
) -> None:
    with file_size_limit(1000), pytest.raises(DassError, match="nothing was changed: free space") as caught:
        write_bytes(old, bytes(5000))
    assert not isinstance(caught.value, UsageError)
    assert isinstance(caught.value.__cause__, OSError) and caught.value.__cause__.errno == errno.EFBIG
    assert str(old) in str(caught.value) and "\n" not in str(caught.value)
    assert old.read_text() == "old"
    assert list(old.parent.iterdir()) == [old]


def test_a_device_without_space(old: Path) -> None:
    with pytest.raises(DassError, match="No space left on device"):
        atomic_write(old, lambda _: Path("/dev/full").write_bytes(b"new") and None)
    assert old.read_text() == "old"


def test_a_folder_that_may_not_be_written() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders cannot be entered by others
        folder = Path(name)
        (folder / "old.txt").write_text("old")
        folder.chmod(0o555)
        with without_privileges():
            with pytest.raises(DassError, match=r"old\.txt: Permission denied"):
                write_text(folder / "old.txt", "new")
            with pytest.raises(DassError, match=r"new/new\.txt: Permission denied"):
                write_text(folder / "new" / "new.txt", "new")
        assert [path.name for path in folder.iterdir()] == ["old.txt"]
        assert (folder / "old.txt").read_text() == "old"
        folder.chmod(0o755)


def test_a_file_where_a_folder_should_be(old: Path) -> None:
    with pytest.raises(DassError, match="cannot write"):
        write_text(old / "new.txt", "new")
    with pytest.raises(DassError, match="cannot write"):
        write_text(old.parent, "new")
    assert list(old.parent.iterdir()) == [old]


@given(value=JSON)
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value
    assert path.read_bytes().endswith(b"\n")


def test_reading_what_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    with pytest.raises(DassError, match=r"value\.json: No such file"):
        read_json(path)
    for content in (b"", b'{"a": 1', b"\xff\xfe\x00", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(DassError, match=r"value\.json is not valid JSON") as caught:
            read_json(path)
        assert "\n" not in str(caught.value)


def test_a_content_id_depends_on_content_alone() -> None:
    assert content_id({"a": 1, "b": [2.5, None]}) == content_id({"b": [2.5, None], "a": 1})
    assert content_id({"b": None, "a": [1, "x"]}) == hashlib.sha256(b'{"a":[1,"x"],"b":null}').hexdigest()[:12]
    assert content_id({"a": 1, "b": [2.5, 0]}) != content_id({"a": 1, "b": [2.5, None]})
    assert content_id([1, 2]) != content_id([2, 1])


def test_a_hash_is_of_the_whole_file(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "data").write_bytes(data)
    assert file_sha256(tmp_path / "data") == hashlib.sha256(data).hexdigest()
