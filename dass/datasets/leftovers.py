"""What killed imports leave among packed datasets."""

import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_OLD = 86_400.0  # seconds after which a folder without a lock is nobody's


def remove_unfinished(raw: Path, but: str) -> None:
    """Removes unfinished packed datasets that no process is writing.

    Args:
        raw: folder of the packed datasets.
        but: name of the packed dataset whose lock the caller holds.
    """
    for unfinished in raw.glob(".*.unfinished.tmp"):
        name = unfinished.name.removeprefix(".").removesuffix(".unfinished.tmp")
        if name != but:
            with suppress(OSError, Timeout), FileLock(raw / f".{name}.lock.tmp", timeout=0):
                # Out of the way first: an import of that name that begins now must not find its lock taken for long.
                unfinished.rename(raw / f".{name}.{secrets.token_hex(4)}.left.tmp")
    for left in raw.glob(".*.left.tmp"):
        shutil.rmtree(left, ignore_errors=True)
    for unpacked in raw.glob(".unpacked-*.tmp"):  # tars were unpacked into such folders once
        with suppress(OSError):
            if time.time() - unpacked.stat().st_mtime > _OLD:
                shutil.rmtree(unpacked, ignore_errors=True)
