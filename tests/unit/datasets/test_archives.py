import io
import os
import signal
import stat
import subprocess
import sys
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dass.datasets.archives.names import safe_name
from dass.datasets.archives.opening import open_archive
from dass.errors import DassError, UsageError

FILES = {"top/a.txt": b"alpha", "top/b/c.txt": b"gamma", "top/.hidden": b"", "__MACOSX/top/a.txt": b""}


def _put_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


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
        safe = safe_name(name, "x.zip")
    except DassError:
        return
    assert not safe.startswith("/")
    assert not {"..", ".", ""} & set(safe.split("/")) or safe == ""


def test_tar_that_climbs_out_is_refused(tmp_path):
    path = _put_tar(tmp_path / "set.tar", {"../evil": b"x"}, "w")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(DassError, match="do not use this file"), open_archive(path, scratch):
        pass
    assert not list(scratch.iterdir())
    assert not (tmp_path / "evil").exists()


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
    with pytest.raises(DassError, match="'a' is a symbolic link"):
        open_archive(path, tmp_path / "scratch").__enter__()
    assert not list((tmp_path / "outside").iterdir())


def test_a_zip_of_a_dot_is_that_of_its_content(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as zipped:
        zipped.writestr("./", b"")
        zipped.writestr("./cat/1.png", b"x")
    with open_archive(tmp_path / "set.zip") as archive:
        assert (archive.names, archive.folders) == (("cat/1.png",), ("cat",))


def test_links_in_a_zip_are_refused(tmp_path):
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        member = zipfile.ZipInfo("train/cat/1.png")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped.writestr(member, "/etc/passwd")
    with pytest.raises(DassError, match="symbolic link"), open_archive(path):
        pass


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_cut_short(put_zip, tmp_path, keep, kind):
    files = {f"train/cat/{number}.bin": bytes(range(256)) * 20 for number in range(20)}
    path = put_zip(files) if kind == "zip" else _put_tar(tmp_path / "set.tgz", files)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(DassError, match="cut short, fetch it again"), open_archive(path, tmp_path):
        pass


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


def test_a_bomb_in_a_tar_is_refused(tmp_path):
    path = _put_tar(tmp_path / "set.tar.gz", {"1.png": bytes(20 * 2**20)})
    with pytest.raises(DassError, match="would grow"), open_archive(path, tmp_path):
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


@pytest.mark.parametrize("name", ["set.tar", "set.tar.xz", "set.zip", "set"])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_told_by_its_content(tmp_path, name, mode):
    with open_archive(_put_tar(tmp_path / name, FILES, mode), tmp_path) as archive:
        assert archive.names == ("top/a.txt", "top/b/c.txt")
        assert archive.read("top/b/c.txt") == b"gamma"
        assert archive.read("top/b/c.txt", 2) == b"ga"


def test_a_zip_is_told_by_its_content(put_zip):
    with open_archive(put_zip(FILES, "set.tar.gz")) as archive:
        assert archive.read("top/a.txt") == b"alpha"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"7z\xbc\xaf\x27\x1c" + bytes(40), "7z"),
        (b"Rar!\x1a\7\0" + bytes(40), "RAR"),
        (b"\x28\xb5\x2f\xfd" + bytes(40), "Zstandard"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>log in</html>", "web"),
    ],
)
def test_what_people_have_in_place_of_a_zip(tmp_path, data, named):
    (tmp_path / "set.zip").write_bytes(data)
    with pytest.raises(UsageError, match=named), open_archive(tmp_path / "set.zip"):
        pass


@pytest.mark.parametrize(("method", "named"), [(9, "Deflate64"), (95, "XZ"), (98, "PPMd"), (77, "method 77")])
def test_a_zip_of_another_method_is_for_another_program(put_zip, method, named):
    path = put_zip({"cat/1.png": bytes(100)})
    data = bytearray(path.read_bytes())
    data[8:10] = method.to_bytes(2, "little")
    central = data.index(b"PK\1\2")
    data[central + 10 : central + 12] = method.to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(DassError, match=rf"{named}.*pass the folder"), open_archive(path):
        pass


def test_a_file_too_large_for_memory_is_refused(tmp_path, monkeypatch, put_zip):
    monkeypatch.setattr("dass.datasets.archives.archive.MAX_FILE", 1000)
    files = {"a.bin": os.urandom(1001), "b.bin": os.urandom(1000)}
    for path in (put_zip(files), _put_tar(tmp_path / "set.tar", files)):
        with open_archive(path, tmp_path) as archive:
            assert archive.read("b.bin") == files["b.bin"]
            with pytest.raises(DassError, match=r"a\.bin .*1,000 bytes"):
                archive.read("a.bin")
            assert archive.read("a.bin", 1001) == files["a.bin"]


def test_links_in_a_tar(tmp_path):
    """A second name of a file is that file; a link by name is not followed."""
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        member = tarfile.TarInfo("a.png")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"alpha"))
        second = tarfile.TarInfo("b.png")
        second.type, second.linkname = tarfile.LNKTYPE, "a.png"
        tar.addfile(second)
    with open_archive(tmp_path / "set.tar", tmp_path) as archive:
        assert archive.read("b.png") == b"alpha"
    for kind in (tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE):
        with tarfile.open(tmp_path / "odd.tar", "w") as tar:
            member = tarfile.TarInfo("a.png")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        with pytest.raises(DassError, match=r"'a\.png' is"), open_archive(tmp_path / "odd.tar", tmp_path):
            pass


def test_a_kill_leaves_nothing_of_a_tar(tmp_path):
    _put_tar(tmp_path / "set.tar", {"a.png": bytes(10**6)})
    program = (
        "import os, signal, pathlib\n"
        "from dass.datasets.archives.opening import open_archive\n"
        f"with open_archive(pathlib.Path({str(tmp_path / 'set.tar')!r}), pathlib.Path({str(tmp_path / 'raw')!r})):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert list((tmp_path / "raw").iterdir()) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One archive of each kind, as bytes."""
    folder = tmp_path_factory.mktemp("whole")
    files = {f"train/{name}/{number}.png": os.urandom(60) for name in ("caf\u00e9", "dog") for number in range(3)}
    made = {mode: _put_tar(folder / "set.tar", files, mode).read_bytes() for mode in ("w", "w:gz", "w:xz", "w:bz2")}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        with zipfile.ZipFile(folder / "set.zip", "w", method) as zipped:
            for name, data in files.items():
                zipped.writestr(name, data)
        made[f"zip {method}"] = (folder / "set.zip").read_bytes()
    return made


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.integers(0, 7), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=4))
@pytest.mark.filterwarnings("ignore")  # zipfile warns of odd fields; here only the outcome counts
def test_a_damaged_archive_is_read_or_refused_in_one_line(whole, tmp_path, kind, flips):
    name, data = list(whole.items())[kind]
    damaged = bytearray(data)
    for place, change in flips:
        damaged[int(place * (len(damaged) - 1))] ^= change
    path = tmp_path / ("set.zip" if name.startswith("zip") else "set.tar")
    path.write_bytes(damaged)
    try:
        with open_archive(path, tmp_path) as archive:
            for inside in archive.names:
                archive.read(inside)
    except DassError as error:
        assert str(path) in str(error)
