"""Archives that would fill memory or disk are refused while they are read."""

import io
import tarfile
import tracemalloc
import zipfile

import pytest

from dass.datasets.archives.opening import open_archive
from dass.errors import DassError


def _bomb_of_folders(path):
    with tarfile.open(path, "w:gz") as tar:
        for number in range(22_000):
            member = tarfile.TarInfo(f"{number}")
            member.type = tarfile.DIRTYPE
            tar.addfile(member)


def _bomb_of_a_header(path):
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a.png")
        member.pax_headers = {"comment": "0" * 50_000_000}
        tar.addfile(member)


def _bomb_of_zeros(path):
    with tarfile.open(path, "w:xz") as tar:
        member = tarfile.TarInfo("a.png")
        member.size = 60_000_000
        tar.addfile(member, io.BytesIO(bytes(member.size)))


def _bomb_of_deep_names(path):
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("a/" * 30_000 + "1.png", b"x")


def _bomb_of_deep_folders(path):
    with zipfile.ZipFile(path, "w") as zipped:
        for number in range(1000):
            zipped.writestr("a/" * 40 + f"{number}.png", b"x")


def _bomb_of_a_long_name(path):
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a" * 500_000))


def _bomb_of_holes(path):
    """A sparse file: a terabyte by its header, no byte of content."""
    header = bytearray(512)
    header[:5], header[100:108], header[124:136], header[156:157] = b"a.png", b"0000644\0", b"00000000000\0", b"S"
    header[257:265], header[483:495] = b"ustar  \0", b"\x80" + (2**40).to_bytes(11)
    header[386:398], header[398:410] = b"00000000000\0", b"00000000000\0"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    path.write_bytes(bytes(header) + bytes(1024))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (_bomb_of_folders, "set.tar.gz"), (_bomb_of_a_header, "set.tar.gz"), (_bomb_of_zeros, "set.tar.xz"),
        (_bomb_of_deep_names, "set.zip"), (_bomb_of_deep_folders, "set.zip"),
        (_bomb_of_a_long_name, "set.tar.gz"), (_bomb_of_holes, "set.tar"),
    ],
)  # fmt: skip
def test_one_budget_for_all_kinds(tmp_path, make, name):
    make(tmp_path / name)
    scratch = tmp_path / "scratch"
    tracemalloc.start()
    with pytest.raises(DassError, match="do not use this file"), open_archive(tmp_path / name, scratch):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
    assert not list(scratch.glob("*"))
