"""Names in archives, in the encodings of the machines that wrote them."""

import io
import tarfile
import zipfile
import zlib

import pytest

from dass.datasets.archives.opening import open_archive
from dass.errors import UsageError


def _put_zip_of_bytes(path, names):
    """A zip whose names are bytes without a mark of their encoding, as macOS and Windows write them."""
    stand_ins = {f"{number:0{len(name)}}": name for number, name in enumerate(names)}
    with zipfile.ZipFile(path, "w") as zipped:
        for stand_in in stand_ins:
            zipped.writestr(stand_in, b"x")
    data = path.read_bytes()
    for stand_in, name in stand_ins.items():
        data = data.replace(stand_in.encode(), name)
    path.write_bytes(data)
    return path


# Encoding, the kinds of archive, names as stored, and as read where that differs.
NAMES = {
    "macOS": (
        "utf-8",
        "zip tar",
        ["cafe\u0301/0000001.png", "日本/0000002.png"],
        ["café/0000001.png", "日本/0000002.png"],
    ),
    "Chinese Windows": ("gbk", "zip tar", ["小麦病害/000001.png", "苹果/000002.png"], None),
    "Chinese Windows, one name": ("gbk", "zip tar", ["训练/猫/000001.png"], None),
    "DOS": ("cp437", "zip", ["Größe/000001.png", "créée/000002.png"], None),
    "Linux of old": ("latin-1", "tar", ["café/000001.png", "créée/000002.png"], None),
}


@pytest.mark.parametrize(
    ("kind", "encoding", "names", "read"),
    [
        pytest.param(kind, encoding, names, read, id=f"{case}, {kind}")
        for case, (encoding, kinds, names, read) in NAMES.items()
        for kind in kinds.split()
    ],
)
def test_names_are_read_as_they_were_meant(tmp_path, kind, encoding, names, read):
    stored = [name.encode(encoding) for name in names]
    if kind == "zip":
        path = _put_zip_of_bytes(tmp_path / "set.zip", stored)
    else:
        path = tmp_path / "set.tar"
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as tar:
            for name in stored:
                tar.addfile(tarfile.TarInfo(name.decode("utf-8", "surrogateescape")), io.BytesIO())
    with open_archive(path, tmp_path) as archive:
        assert archive.names == tuple(sorted(read or names))
        assert bool(archive.notes) == (encoding != "utf-8")


def test_the_user_may_say_how_names_are_written(tmp_path):
    path = _put_zip_of_bytes(
        tmp_path / "set.zip", ["고양이/000001.png".encode("cp949"), "개/000002.png".encode("cp949")]
    )
    with open_archive(path, names="cp949") as archive:
        assert archive.folders == ("개", "고양이")
    for names in ("ascii", "no-such-encoding"):
        with pytest.raises(UsageError, match=f"--names {names}"), open_archive(path, names=names):
            pass


def test_a_name_in_the_extra_field_counts(tmp_path):
    """Info-ZIP and WinRAR write the name in UTF-8 beside one in the encoding of the machine."""
    local, meant = b"01234567.png", "猫.png".encode()
    extra = b"\1" + zlib.crc32(local).to_bytes(4, "little") + meant
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as zipped:
        member = zipfile.ZipInfo(local.decode())
        member.extra = (0x7075).to_bytes(2, "little") + len(extra).to_bytes(2, "little") + extra
        zipped.writestr(member, b"x")
    with open_archive(tmp_path / "set.zip") as archive:
        assert (archive.names, archive.read("猫.png")) == (("猫.png",), b"x")
