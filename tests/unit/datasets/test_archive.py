import io
import stat
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dass.datasets.archive import _safe_name, open_archive
from dass.errors import DassError, UsageError

FILES = {"top/a.txt": b"alpha", "top/b/c.txt": b"gamma", "top/.hidden": b"", "__MACOSX/top/a.txt": b""}


needs_tar = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="this Python is older than 3.11.4: tars are refused"
)


def _put_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@needs_tar
def test_folder_zip_and_tar_read_the_same(put_folder, put_zip, tmp_path):
    for path in (put_folder(FILES), put_zip(FILES), _put_tar(tmp_path / "set.tgz", FILES)):
        with open_archive(path, tmp_path) as archive:
            assert archive.names == ("top/a.txt", "top/b/c.txt")
            assert archive.folders == ("top", "top/b")
            assert archive.text("top/a.txt") == "alpha"
            inside = archive.below("top")
            assert inside.names == ("a.txt", "b/c.txt")
            assert inside.folders == ("b",)
            assert inside.below("b").read("c.txt") == b"gamma"
            assert archive.around("c.txt").names == ("c.txt",)
            assert archive.around("b").names == ("a.txt", "b/c.txt")
            with pytest.raises(DassError, match=r"has no nothing\.txt"):
                archive.around("nothing.txt")
            with pytest.raises(DassError, match=r"has no file nothing\.txt"):
                archive.read("nothing.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "set.tgz", "set.zip"]


def test_the_least_deep_marker_counts(put_folder):
    with open_archive(put_folder({"a/b/images.txt": b"", "z/images.txt": b"x"})) as archive:
        assert archive.around("images.txt").read("images.txt") == b"x"


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:/evil", "C:\\evil", "a/..", "\\\\host\\evil"]
)
def test_zip_that_climbs_out_is_refused(put_zip, name, tmp_path):
    path = put_zip({"train/cat/1.png": b"", name: b"x"})
    with pytest.raises(DassError, match="reaches outside"), open_archive(path):
        pass
    assert sorted(tmp_path.iterdir()) == [path]


@given(st.text(alphabet="ab./\\:", min_size=1, max_size=12))
def test_accepted_names_stay_inside(name):
    try:
        safe = _safe_name(name, "x.zip")
    except DassError:
        return
    assert not safe.startswith("/")
    assert not {"..", ".", ""} & set(safe.split("/")) or safe == ""


@needs_tar
def test_tar_that_climbs_out_is_refused(tmp_path):
    path = _put_tar(tmp_path / "set.tar", {"../evil": b"x"}, "w")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(DassError, match="do not use this file"), open_archive(path, scratch):
        pass
    assert not list(scratch.iterdir())
    assert not (tmp_path / "evil").exists()


@needs_tar
def test_a_chain_of_links_too_long_to_be_resolved_leads_nowhere(tmp_path):
    """Beyond PATH_MAX, Python's own filter of some versions takes a link for what it is not (CVE-2025-4517)."""
    path, long, letters = tmp_path / "chain.tar", "d" * 247, "abcdefghijklmnop"
    with tarfile.open(path, "w") as tar:

        def add(name, kind, to="", data=b""):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode, member.size = kind, to, 0o755, len(data)
            tar.addfile(member, io.BytesIO(data))

        for depth, letter in enumerate(letters):
            here = f"{long}/" * depth
            add(f"{here}{long}", tarfile.DIRTYPE)
            add(f"{here}{letter}", tarfile.SYMTYPE, long)
        chain = f"{'/'.join(letters)}/{'l' * 254}"
        add(chain, tarfile.SYMTYPE, "../" * len(letters))
        add("escape", tarfile.SYMTYPE, f"{chain}/../../outside")
        add("escape/written", tarfile.REGTYPE, data=b"x")
    (tmp_path / "outside").mkdir()
    with pytest.raises(DassError, match="a is a symbolic link, which is not followed: pack"):
        open_archive(path, tmp_path / "scratch").__enter__()
    assert not list((tmp_path / "outside").iterdir())


def test_a_zip_of_a_dot_is_that_of_its_content(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as zipped:
        zipped.writestr("./", b"")
        zipped.writestr("./cat/1.png", b"x")
    with open_archive(tmp_path / "set.zip") as archive:
        assert (archive.names, archive.folders) == (("cat/1.png",), ("cat",))


def test_links_are_refused(tmp_path, put_folder):
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        member = zipfile.ZipInfo("train/cat/1.png")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped.writestr(member, "/etc/passwd")
    with pytest.raises(DassError, match="symbolic link"), open_archive(path):
        pass
    folder = put_folder({"train/cat/1.png": b""})
    (folder / "train" / "dog").symlink_to(folder / "train" / "cat")
    with pytest.raises(DassError, match="symbolic link"), open_archive(folder):
        pass


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
@pytest.mark.parametrize("kind", ["zip", pytest.param("tgz", marks=needs_tar)])
def test_cut_short(put_zip, tmp_path, keep, kind):
    files = {f"train/cat/{number}.bin": bytes(range(256)) * 20 for number in range(20)}
    path = put_zip(files) if kind == "zip" else _put_tar(tmp_path / "set.tgz", files)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(DassError, match="cut short, fetch it again"), open_archive(path, tmp_path):
        pass


@needs_tar
def test_a_tar_with_a_damaged_header_is_not_taken_for_a_shorter_one(tmp_path):
    path = _put_tar(tmp_path / "set.tar", {"a.png": b"x" * 600, "b.png": b"y"}, "w")
    data = bytearray(path.read_bytes())
    data[3 * 512 : 3 * 512 + 5] = b"?????"
    path.write_bytes(data)
    with pytest.raises(DassError, match="cut short"), open_archive(path, tmp_path):
        pass
    path.write_bytes(data[: 3 * 512])
    with pytest.raises(DassError, match="cut short"), open_archive(path, tmp_path):
        pass


def test_damaged_member_is_named(put_zip):
    path = put_zip({"train/cat/1.png": bytes(range(256)) * 8})
    data = bytearray(path.read_bytes())
    data[60:80] = bytes(20)
    path.write_bytes(data)
    with open_archive(path) as archive, pytest.raises(DassError, match=r"train/cat/1\.png cannot be read"):
        archive.read("train/cat/1.png")


def test_encrypted_zip_is_refused(put_zip):
    path = put_zip({"a.png": b"x"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    data[6] |= 1
    path.write_bytes(data)
    with pytest.raises(DassError, match="encrypted"), open_archive(path):
        pass


def test_bombs_are_refused(put_zip, tmp_path):
    path = put_zip({"train/cat/1.png": bytes(20 * 2**20)})
    with pytest.raises(DassError, match="would grow"), open_archive(path):
        pass
    path = put_zip({f"train/cat/{number}.png": bytes(2**20) for number in range(12)})
    with pytest.raises(DassError, match="all of it would grow"), open_archive(path):
        pass


@needs_tar
def test_a_bomb_in_a_tar_is_refused(tmp_path):
    path = _put_tar(tmp_path / "set.tar.gz", {"1.png": bytes(20 * 2**20)})
    with pytest.raises(DassError, match="would grow"), open_archive(path, tmp_path):
        pass


def test_a_python_that_cannot_unpack_tars_safely_refuses_them(tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    path = _put_tar(tmp_path / "set.tar", {"1.png": b"1"}, "w")
    with pytest.raises(DassError, match=r"older than 3\.11\.4"), open_archive(path, tmp_path):
        pass


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_name_given_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as zipped:
        zipped.writestr("a.png", "1")
        zipped.writestr("a.png", "2")
    with pytest.raises(DassError, match="twice"), open_archive(tmp_path / "set.zip"):
        pass


def test_what_is_no_archive(tmp_path):
    with pytest.raises(UsageError, match="does not exist"), open_archive(tmp_path / "none.zip"):
        pass
    (tmp_path / "note.txt").write_text("hello")
    with pytest.raises(UsageError, match="neither a folder nor"), open_archive(tmp_path / "note.txt"):
        pass


def test_text_that_is_none(put_folder):
    with open_archive(put_folder({"words.txt": b"\xff\xfe\x00"})) as archive, pytest.raises(DassError, match="UTF-8"):
        archive.text("words.txt")
