"""A folder, a zip or a tar of unknown origin, read safely and in one way."""

import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dass.errors import DassError, UsageError

_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
# Image archives hardly shrink (annotation tables do, by ten or twenty times); a bomb shrinks by a thousand.
_MAX_RATIO = 100
_RATIO_MATTERS_FROM = 10 * 2**20


@dataclass(frozen=True)
class Archive:
    """Files by name, wherever they lie; nothing is unpacked to read one.

    Attributes:
        label: how messages name it.
        names: its files, sorted, with `/` between folders; hidden files are left out.
        folders: its folders, the empty ones too, sorted.
        open_bytes: reads one file, or as many bytes of its beginning as the second argument says (-1 for all).
    """

    label: str
    names: tuple[str, ...]
    folders: tuple[str, ...]
    open_bytes: Callable[[str, int], bytes]

    def read(self, name: str, limit: int = -1) -> bytes:
        """The bytes of a file, or its first `limit` bytes.

        Raises:
            DassError: it is missing or damaged.
        """
        try:
            return self.open_bytes(name, limit)
        except (KeyError, FileNotFoundError) as error:
            raise DassError(f"{self.label} has no file {name}: fetch it anew or complete it") from error
        except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise DassError(f"{self.label}: {name} cannot be read ({error}): fetch the archive anew") from error

    def text(self, name: str) -> str:
        """A text file, UTF-8.

        Raises:
            DassError: it is missing, damaged or not text.
        """
        try:
            return self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DassError(f"{self.label}: {name} is not a UTF-8 text file: fetch the archive anew") from error

    def below(self, folder: str) -> "Archive":
        """The part inside `folder` (empty for all of it), with names relative to it."""
        if not folder:
            return self
        start = f"{folder}/"

        def inside(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name[len(start) :] for name in names if name.startswith(start))

        return Archive(
            self.label,
            inside(self.names),
            inside(self.folders),
            lambda name, limit: self.open_bytes(start + name, limit),
        )

    def has(self, marker: str) -> bool:
        """Whether a file or folder `marker` lies anywhere in it."""
        return any(f"/{name}".endswith(f"/{marker}") for name in self.names + self.folders)

    def around(self, marker: str) -> "Archive":
        """The part around the file or folder `marker` that lies least deep; an archive may wrap all in one folder.

        Raises:
            DassError: there is no such file or folder.
        """
        ending = f"/{marker}"
        found = [name for name in self.names + self.folders if f"/{name}".endswith(ending)]
        if not found:
            raise DassError(f"{self.label} has no {marker}: pass the folder or archive as its publisher gives it")
        nearest = min(found, key=lambda name: (name.count("/"), name))
        return self.below(nearest[: -len(ending)] if nearest != marker else "")


@contextmanager
def open_archive(path: Path, scratch: Path | None = None) -> Iterator[Archive]:
    """Opens a folder or a zip in place, a tar by unpacking it for as long as it is open.

    Args:
        path: what the user has.
        scratch: where a tar's files lie while it is open, made when missing; None for the system's place.

    Raises:
        DassError: the archive is damaged, or holds something that could reach outside of it or flood the disk.
        UsageError: there is nothing at `path`, or it is no archive.
    """
    if path.is_dir():
        yield _from_folder(path, str(path))
    elif not path.is_file():
        raise UsageError(f"{path} does not exist: pass a folder, a .zip or a .tar file")
    elif path.name.lower().endswith(_TAR_ENDINGS):
        with _scratch_folder(scratch) as folder:
            _unpack_tar(path, folder)
            yield _from_folder(folder, str(path))
    elif path.name.lower().endswith(".zip"):
        try:
            zipped = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise DassError(f"{path} is not a whole zip file ({error}): it may be cut short, fetch it again") from error
        with zipped:
            yield _from_zip(zipped, str(path))
    else:
        raise UsageError(f"{path} is neither a folder nor a .zip or .tar file: pass one of these")


@contextmanager
def _scratch_folder(parent: Path | None) -> Iterator[Path]:
    try:
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=parent, prefix=".unpacked-", suffix=".tmp")
    except OSError as error:
        raise DassError(
            f"cannot unpack into {parent}: {error.strerror or error}; free space or fix permissions"
        ) from error
    with folder as name:
        yield Path(name)


def _from_folder(root: Path, label: str) -> Archive:
    names: list[str] = []
    folders: list[str] = []
    for folder, subfolders, files in os.walk(root, onerror=_refuse_unreadable):
        subfolders.sort()
        for name in subfolders + files:
            inside = Path(folder, name)
            if inside.is_symlink():
                raise DassError(f"{inside} is a symbolic link: put the file or folder itself there")
            (folders if name in subfolders else names).append(inside.relative_to(root).as_posix())

    def read(name: str, limit: int) -> bytes:
        with (root / name).open("rb") as file:
            return file.read(limit)

    return Archive(label, _visible(names), _visible(folders), read)


def _refuse_unreadable(error: OSError) -> None:
    raise DassError(f"{error.filename} cannot be read: {error.strerror}; fix its permissions") from error


def _from_zip(zipped: zipfile.ZipFile, label: str) -> Archive:
    members: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for member in zipped.infolist():
        name = _safe_name(member.filename, label)
        if not name:  # `./`, as some tools begin with
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DassError(f"{label}: {name} is a symbolic link, which is not followed: zip the file itself")
        if member.flag_bits & 1:
            raise DassError(f"{label}: {name} is encrypted: unpack it with its password and pass the folder")
        if member.is_dir():
            folders.add(name)
            continue
        if name in members:
            raise DassError(f"{label} holds {name} twice: make the zip again")
        _refuse_flood(label, name, member.file_size, member.compress_size)
        members[name] = member
    archive_bytes = Path(zipped.filename).stat().st_size if zipped.filename else 0
    _refuse_flood(label, "all of it", sum(member.file_size for member in members.values()), archive_bytes)
    for name in members:
        folders.update(str(parent) for parent in PurePosixPath(name).parents if str(parent) != ".")

    def read(name: str, limit: int) -> bytes:
        with zipped.open(members[name]) as file:
            return file.read(limit)

    return Archive(label, _visible(members), _visible(folders), read)


def _safe_name(name: str, label: str) -> str:
    """The name with `/` separators, refused where it is absolute or climbs."""
    plain = name.replace("\\", "/")
    parts = plain.rstrip("/").split("/")
    if plain.startswith("/") or ".." in parts or parts[0].endswith(":") or "\0" in plain:
        raise DassError(f"{label}: {name!r} reaches outside of the archive: do not use this file, fetch it anew")
    return "/".join(part for part in parts if part not in ("", "."))


def _refuse_flood(label: str, name: str, unpacked: int, packed: int) -> None:
    if unpacked > _RATIO_MATTERS_FROM and unpacked > _MAX_RATIO * packed:
        raise DassError(
            f"{label}: {name} would grow from {packed:,} to {unpacked:,} bytes, which no image archive does: "
            "do not use this file, fetch it anew"
        )


def _unpack_tar(path: Path, folder: Path) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise DassError(
            f"this Python is older than 3.11.4 and cannot unpack {path.name} safely: unpack it and pass the folder"
        )
    try:
        with tarfile.open(path) as tar:
            total = 0
            for member in tar:
                total += member.size
                _refuse_flood(str(path), "all of it", total, path.stat().st_size)
                if member.issym():  # before the filter, which a long chain of links can mislead (CVE-2025-4517)
                    raise DassError(
                        f"{path}: {member.name} is a symbolic link, which is not followed: pack the file itself"
                    )
                tar.extract(member, folder, filter="data")
            _refuse_lost_end(tar)
    except (tarfile.FilterError, KeyError) as error:
        raise DassError(f"{path}: {error}: do not use this file, fetch it anew") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DassError(f"{path} is not a whole tar file ({error}): it may be cut short, fetch it again") from error
    except OSError as error:
        raise DassError(f"cannot unpack {path} into {folder.parent}: {error.strerror or error}; free space") from error


def _refuse_lost_end(tar: tarfile.TarFile) -> None:
    """Python takes a missing or damaged header for the end; the true one is a block of zeros with only zeros after."""
    file = tar.fileobj
    lost = file is None or file.tell() < tar.offset + tarfile.BLOCKSIZE
    while not lost and file and (block := file.read(2**20)):
        lost = bool(block.strip(b"\0"))
    if lost:
        raise tarfile.ReadError("its end is missing")


def _visible(names: list[str] | set[str] | dict[str, zipfile.ZipInfo]) -> tuple[str, ...]:
    """Sorted, without what file managers leave behind."""
    return tuple(
        sorted(name for name in names if not any(part[:1] == "." or part == "__MACOSX" for part in name.split("/")))
    )
