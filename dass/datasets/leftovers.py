"""Temporary folders that know their owner, so that those of killed processes can be told and removed."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from dass.errors import DassError

_PREFIX = "dass-images-"
_LOCK = ".owner.lock"
_YOUNG = 60.0  # seconds in which an owner may not yet have taken its lock
_OLD = 86_400.0  # seconds after which a folder without a lock is nobody's


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder for as long as the block lasts; those that killed processes left are removed first.

    Raises:
        DassError: there is no place for it.
    """
    try:
        remove_ownerless(Path(tempfile.gettempdir()))
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
    except OSError as error:
        raise DassError(f"cannot make a temporary folder ({error.strerror or error}): free space") from error
    with folder as name, FileLock(Path(name, _LOCK)):
        yield Path(name)


def remove_ownerless(parent: Path) -> None:
    """Removes the scratch folders in `parent` whose owner has ended."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError, Timeout):  # another user's, or in use
            if time.time() - folder.stat().st_mtime > _YOUNG:
                with FileLock(folder / _LOCK, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)


def remove_unfinished(raw: Path, but: str) -> None:
    """Removes what killed imports left among packed datasets.

    Args:
        raw: folder of the packed datasets.
        but: name of the packed dataset whose lock the caller holds.
    """
    for unfinished in raw.glob(".*.unfinished.tmp"):
        name = unfinished.name.removeprefix(".").removesuffix(".unfinished.tmp")
        if name != but:
            with suppress(OSError, Timeout), FileLock(raw / f".{name}.lock.tmp", timeout=0):
                shutil.rmtree(unfinished, ignore_errors=True)
    for unpacked in raw.glob(".unpacked-*.tmp"):  # tars were unpacked into such folders once
        with suppress(OSError):
            if time.time() - unpacked.stat().st_mtime > _OLD:
                shutil.rmtree(unpacked, ignore_errors=True)
