"""Reader of a zip, in place."""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dass.datasets.archives.archive import Archive, visible, with_parents
from dass.datasets.archives.budget import Budget
from dass.datasets.archives.names import choose_encoding, encoding_note, safe_name, spell
from dass.errors import DassError

_UTF8_FLAG = 0x800
_CHUNK = 2**20
_UNICODE_PATH = 0x7075  # an extra field of Info-ZIP and WinRAR: the name in UTF-8
_METHODS = {
    9: "Deflate64 (as Windows does beyond 2 GB)",
    20: "Zstandard",
    93: "Zstandard",
    95: "XZ",
    96: "JPEG",
    98: "PPMd",
}
_READABLE = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA} | (
    {zipfile.ZIP_ZSTANDARD} if hasattr(zipfile, "ZIP_ZSTANDARD") else set()
)


@contextmanager
def read_zip(path: Path, names: str | None = None) -> Iterator[Archive]:
    """Opens a zip for as long as the block lasts.

    Args:
        path: path of the zip.
        names: the encoding of the file names that are not marked as UTF-8; None to find out.

    Raises:
        DassError: it is damaged, encrypted or packed in a way that cannot be read here, holds links or names that lead
            outside, or holds or would grow to far too much.
        UsageError: `names` does not fit.
    """
    try:
        zipped = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises nearly anything on damaged lists
        raise DassError(f"{path} is not a whole zip file ({error}): it may be cut short, fetch it again") from error
    with zipped:
        yield _listed(zipped, path, names)


def _listed(zipped: zipfile.ZipFile, path: Path, names: str | None) -> Archive:
    label, budget = str(path), Budget(str(path), path.stat().st_size)
    raw = [name for member in zipped.infolist() if isinstance(name := _stored_name(member), bytes)]
    encoding = choose_encoding(raw, "cp437", names)
    members: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for member in zipped.infolist():
        spelt = spell(_stored_name(member), encoding)
        name = safe_name(spelt, label)
        budget.entry(name)
        if not name:  # `./`, as some tools begin with
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DassError(f"{label}: {name} is a symbolic link, which is not followed: zip the file itself")
        if member.flag_bits & 1:
            raise DassError(f"{label}: {name} is encrypted: unpack it with its password and pass the folder")
        if member.is_dir() or spelt.endswith("\\"):
            folders.add(name)
            continue
        if name in members:
            raise DassError(f"{label} holds {name} twice: make the zip again")
        if member.compress_type not in _READABLE:
            method = _METHODS.get(member.compress_type, f"method {member.compress_type}")
            raise DassError(
                f"{label} is packed with {method}, which Python cannot read: unpack it with another program, such as "
                "7-Zip, and pass the folder"
            )
        budget.file(name, member.file_size, member.compress_size)
        members[name] = member

    def read(name: str, limit: int) -> bytes:
        left = members[name].file_size if limit < 0 else min(limit, members[name].file_size)
        listing = io.BytesIO()
        with zipped.open(members[name]) as file:  # by parts: zipfile holds what it is asked for three times
            while left > 0 and (chunk := file.read(min(left, _CHUNK))):
                left -= listing.write(chunk)
        return listing.getvalue()

    return Archive(
        label, visible(members), visible(with_parents(members, folders)), read, notes=encoding_note(raw, encoding)
    )


def _stored_name(member: zipfile.ZipInfo) -> str | bytes:
    """The name where its encoding is known, else its bytes; zipfile reads those as CP437, as the standard says."""
    if member.flag_bits & _UTF8_FLAG:
        return member.filename
    raw = member.filename.encode("cp437")
    extra = member.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(field) > 5 and int.from_bytes(field[1:5], "little") == zlib.crc32(raw):
            return field[5:].decode("utf-8", "replace")
    return raw
