"""Temporary folders that know their owner, so that those of killed processes can be told and removed."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from dass.errors import DassError

_PREFIX = "dass-scratch-"
_LOCK = ".owner.lock"
_YOUNG = 60.0  # seconds in which an owner may not yet have taken its lock


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder for as long as the block lasts; those that killed processes left are removed first.

    Raises:
        DassError: there is no place for it.
    """
    try:
        _remove_ownerless(Path(tempfile.gettempdir()))
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
    except OSError as error:
        raise DassError(f"cannot make a temporary folder ({error.strerror or error}): free space") from error
    with folder as name, FileLock(Path(name, _LOCK)):
        yield Path(name)


def _remove_ownerless(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        lock = folder / _LOCK
        with suppress(OSError, Timeout):  # another user's, or in use
            if time.time() - lock.stat().st_mtime > _YOUNG:
                with FileLock(lock, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)
