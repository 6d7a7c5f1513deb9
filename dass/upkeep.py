"""What grows in a project's hidden folders: how much it is, and what of it may go.

Only what can be made again is ever removed, once nobody has read or written it for some days and no process holds it.
Records, runs, registered models and what DVC tracks lie elsewhere or are left alone.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from dass.errors import DassError

DAY = 86400.0


@dataclass(frozen=True)
class GrowingFolder:
    """A folder or file that grows.

    Attributes:
        path: path relative to the project.
        holds: content, in words.
        goes: limit of its size, in words.
        patterns: patterns of the files in it that can be made again; none where the project removes nothing.
    """

    path: Path
    holds: str
    goes: str
    patterns: tuple[str, ...] = ()


FOLDERS = (
    GrowingFolder(Path(".state/evidence"), "what was measured of students", "unused files", ("*.parquet",)),
    GrowingFolder(Path(".state/rankers"), "what compared methods have learned", "unused files", ("*",)),
    GrowingFolder(Path(".state/meta_train"), "meta-trainings started from a page", "unused files", ("**/*",)),
    GrowingFolder(Path(".state/downloads"), "archives that were fetched", "unused files", ("**/*",)),
    GrowingFolder(Path(".prefect"), "Prefect's database and logs", "unused logs and sockets", ("*.log", "warm-*.sock")),
    GrowingFolder(Path("mlartifacts"), "files of runs and models", "`mlflow gc`, after runs were deleted on its page"),
    GrowingFolder(Path(".dvc/cache"), "versions of what DVC tracks", "`dvc gc --workspace`"),
)


@dataclass(frozen=True)
class Usage:
    """The size of a growing folder or file.

    Attributes:
        folder: folder or file that was measured.
        size: size in bytes.
        removable: files that may go.
        freed: size of the removable files, in bytes.
    """

    folder: GrowingFolder
    size: int
    removable: tuple[Path, ...]
    freed: int


def measure_usage(root: Path, days: float, now: float | None = None) -> list[Usage]:
    """Measures all growing folders; removes nothing.

    Args:
        root: the project folder.
        days: for how long a file must not have been read or written.
        now: seconds since the epoch; None for the present.
    """
    before = (time.time() if now is None else now) - days * DAY
    usages = []
    for folder in FOLDERS:
        path = root / folder.path
        old = sorted({file for pattern in folder.patterns for file in path.glob(pattern) if _unused(file, before)})
        usages.append(Usage(folder, sum(map(_size, _files(path))), tuple(old), sum(map(_size, old))))
    return usages


def remove(usage: Usage) -> int:
    """Removes what may go of a folder, but for files that a process holds; gives the bytes that it freed.

    Raises:
        DassError: a file cannot be removed.
    """
    freed = 0
    for path in usage.removable:
        with suppress(Timeout, FileNotFoundError):
            size = _size(path)
            lock = path.with_name(f".{path.stem}.lock")  # as `dass.proxies.store` takes it
            try:
                if lock.exists():
                    with FileLock(lock, timeout=0):
                        path.unlink()
                else:
                    path.unlink()
            except PermissionError as error:
                raise DassError(f"cannot remove {path}: {error.strerror}") from error
            freed += size
    return freed


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # gone since
        return 0


def _unused(path: Path, before: float) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return not path.is_dir() and max(status.st_atime, status.st_mtime) < before
