"""Files that are either whole or absent, and short names for content."""

import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dass.errors import DassError, UsageError


def atomic_write(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a temporary file beside `path`, then renames it into place.

    A reader sees the old file or the new one, never a part; after a power cut too, since the data
    are flushed to disk before the rename. A new file gets the rights that the umask gives, another
    one keeps those of the file it replaces.

    Args:
        path: the final place; its folder is created.
        write: fills the file whose path it is given; where that fails for want of space it must raise `OSError`,
            as Python's own files do (safetensors and torch do not: give `write_bytes` what they make).

    Raises:
        DassError: the disk is full or the folder cannot be written; `path` is as it was.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
        fresh.touch(exist_ok=False)
        temporary = fresh
        mode = stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR if path.exists() else temporary.stat().st_mode
        write(temporary)
        temporary.chmod(stat.S_IMODE(mode))  # after writing: a writer may put a private file of its own in the place
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DassError(
            f"cannot write {path}: {error.strerror or error}; nothing was changed: free space or fix permissions, "
            "then run the same command again"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes bytes atomically.

    Raises:
        DassError: as in `atomic_write`.
    """

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    atomic_write(path, write)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes a value as indented JSON, atomically, with a newline at the end."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON.

    Raises:
        DassError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DassError(
            f"cannot read {path}: {error.strerror or error}; restore it with `dvc checkout` or make it anew"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DassError(
            f"{path} is not valid JSON ({error}): restore it with `dvc checkout` or make it anew"
        ) from error


def regular_file(path: Path, what: str, remedy: str) -> None:
    """Checks that a path that a user gave leads to a file: no folder, pipe or device, and a name that can exist.

    Args:
        path: path that the user gave.
        what: kind of file that is wanted, for the message, such as `checkpoint`.
        remedy: what to do instead, for the message.

    Raises:
        UsageError: it does not.
        DassError: it may not be looked at.
    """
    shown = str(path).replace("\0", "\\0")
    if "\0" in str(path):
        raise UsageError(f"{shown:.100} cannot be a path, it holds a zero byte: {remedy}")
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"there is no {what} at {shown}: {remedy}") from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise UsageError(f"{shown:.100} cannot be a path ({error.strerror}): {remedy}") from error
        raise DassError(f"cannot read {shown}: {error.strerror or error}: fix its permissions") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise UsageError(f"{shown} is {kind}, not a {what}: {remedy}")


def content_id(value: Any) -> str:
    """A short stable name (12 hex digits of SHA-256) of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


def file_id(path: Path) -> str:
    """Names what a file holds: the first twelve digits of its SHA-256."""
    return file_sha256(path)[:12]


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
