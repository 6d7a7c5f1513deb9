"""Reader of a tar, compressed or not: its files are put into one temporary file that ends with the process."""

import bz2
import gzip
import lzma
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dass.datasets.archives.archive import Archive, visible, with_parents
from dass.datasets.archives.budget import Budget
from dass.datasets.archives.names import choose_encoding, encoding_note, safe_name, spell
from dass.errors import DassError

_OPENERS: dict[bytes, Callable[[Any], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_CHUNK = 2**20
_MAX_HEADER = 2**20  # bytes that a header of a long name may have; Python reads it whole

Place = tuple[int, int]  # offset and size in the temporary file, in bytes


@contextmanager
def read_tar(path: Path, scratch: Path | None = None, names: str | None = None) -> Iterator[Archive]:
    """Copies the files of a tar into one temporary file, which has no name, so that a kill leaves nothing behind.

    No file takes the name or the rights that the tar gives it, so nothing can reach outside.

    Args:
        path: path of the tar.
        scratch: where the temporary file lies, made when missing; None for the system's place.
        names: the encoding of the file names; None to find out.

    Raises:
        DassError: it is damaged, holds links or names that lead outside, holds or would grow to far too much, or there
            is no space.
        UsageError: `names` does not fit.
    """
    with _temporary_file(scratch) as store:
        yield _unpacked(path, store, names)


@contextmanager
def _temporary_file(scratch: Path | None) -> Iterator[IO[bytes]]:
    try:
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        store = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115  # what the block raises is not of this place
    except OSError as error:
        raise DassError(
            f"cannot unpack into {scratch}: {error.strerror or error}; free space or fix permissions"
        ) from error
    with store:
        yield store


def _unpacked(path: Path, store: IO[bytes], names: str | None) -> Archive:
    budget = Budget(str(path), path.stat().st_size)
    try:
        with path.open("rb") as packed, _uncompressed(packed) as stream:
            places, folders = _copy(_Metered(stream, budget), store, budget)
        store.flush()
    except DassError:
        raise
    except Exception as error:  # what unpacks arbitrary bytes raises nearly anything
        if isinstance(error, OSError) and error.errno is not None:  # gzip and bz2 have none for damaged data
            raise DassError(f"cannot unpack {path}: {error.strerror or error}; free space") from error
        raise DassError(
            f"{path} is not a whole tar file ({error}): it may be no tar, or cut short, fetch it again"
        ) from error

    raw = [*places, *folders]
    encoding = choose_encoding(raw, "latin-1", names)
    files = {safe_name(spell(name, encoding), str(path)): offset_and_size for name, offset_and_size in places.items()}
    inside = {safe_name(spell(name, encoding), str(path)) for name in folders} - {""}
    if len(files) < len(places):
        raise DassError(f"{path} holds a file twice, in two spellings of its name: make the tar again")

    def read(name: str, limit: int) -> bytes:
        offset, size = files[name]
        return os.pread(store.fileno(), size if limit < 0 else min(limit, size), offset)

    return Archive(
        str(path), visible(files), visible(with_parents(files, inside)), read, notes=encoding_note(raw, encoding)
    )


def _uncompressed(packed: IO[bytes]) -> Any:
    head = packed.read(8)
    packed.seek(0)
    opener = next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)
    return opener(packed) if opener else packed


class _Metered:
    """A stream that says how far it has been read to a budget, and hands out no more than a header at once."""

    def __init__(self, stream: Any, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER:
            raise DassError(f"{self._budget.label} has a header of {size:,} bytes: do not use this file, fetch it anew")
        data = self._stream.read(size)
        self._budget.unpacked(self._stream.tell())
        return data

    def seek(self, position: int) -> int:
        self._budget.unpacked(position)
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()


def _copy(stream: _Metered, store: IO[bytes], budget: Budget) -> tuple[dict[bytes, Place], set[bytes]]:
    """Puts the content of every file into `store`; gives their places and the folders, by names as stored."""
    places: dict[bytes, Place] = {}
    folders: set[bytes] = set()
    with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:  # type: ignore[call-overload]
        while (member := tar.next()) is not None:
            tar.members.clear()  # else all headers stay in memory
            budget.entry(member.name)
            name = member.name.encode("utf-8", "surrogateescape")
            if member.isdir():
                folders.add(name)
            elif member.islnk():
                linked = member.linkname.encode("utf-8", "surrogateescape")
                if linked not in places:
                    raise DassError(f"{budget.label}: {member.name!r} is a link to no file before it: fetch it anew")
                places[name] = places[linked]
            elif member.isfile():
                budget.file(member.name, member.size)
                places[name] = _append(tar, member, store)
            else:
                kind = "a symbolic link, which is not followed" if member.issym() else "no file and no folder"
                raise DassError(f"{budget.label}: {member.name!r} is {kind}: pack the file itself")
        _refuse_lost_end(tar)
    return places, folders


def _append(tar: tarfile.TarFile, member: tarfile.TarInfo, store: IO[bytes]) -> Place:
    offset, file = store.tell(), tar.extractfile(member)
    while file is not None and (chunk := file.read(_CHUNK)):
        store.write(chunk)
    if store.tell() - offset != member.size:
        raise tarfile.ReadError(f"{member.name!r} ends early")
    return offset, member.size


def _refuse_lost_end(tar: tarfile.TarFile) -> None:
    """Python takes a missing or damaged header for the end; the true one is a block of zeros with only zeros after."""
    file = tar.fileobj
    lost = file is None or file.tell() < tar.offset + tarfile.BLOCKSIZE
    while not lost and file and (block := file.read(_CHUNK)):
        lost = bool(block.strip(b"\0"))
    if lost:
        raise tarfile.ReadError("its end is missing")
