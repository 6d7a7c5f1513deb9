"""Fetching a publisher's archive: goes on where it broke off, and is whole and verified or not there."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from dass.datasets.catalogue import Remote
from dass.datasets.packing import Progress
from dass.errors import DassError

_CHUNK = 2**20
_ATTEMPTS = 5  # in a row without a new byte
_SECONDS = 30


def download(remote: Remote, folder: Path, progress: Progress | None = None) -> Path:
    """Fetches a file into `folder`, under the last part of its address.

    What arrived of a broken transfer is kept as `NAME.part`, and the next call asks only for the rest. The file takes
    its name once its size and checksum are right.

    Args:
        remote: address, size and checksum.
        folder: folder to put it into.
        progress: called with (bytes there, bytes in all; 0 where the server does not say).

    Returns:
        The verified file; one that was there already is verified, not fetched.

    Raises:
        DassError: the server cannot be reached or refuses, the transfer keeps breaking, the file is not the expected
            one (what arrived is removed), or the disk is full (what arrived is kept).
    """
    final = folder / PurePosixPath(urlsplit(remote.url).path).name
    part = final.with_name(f"{final.name}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{final.name}.lock.tmp", timeout=0):
            if not final.is_file():
                _fetch_all(remote, part, progress)
                _verify(remote, part)
                part.replace(final)
            else:
                _verify(remote, final)
    except Timeout as error:
        raise DassError(f"{final} is being fetched by another process: wait for it to end") from error
    except OSError as error:
        raise DassError(
            f"cannot write {final}: {error.strerror or error}; what arrived is kept: free space or fix permissions, "
            "then run the same command again"
        ) from error
    return final


def _fetch_all(remote: Remote, part: Path, progress: Progress | None) -> None:
    """Asks for what is missing of the file until nothing is."""
    failures = 0
    while failures < _ATTEMPTS:
        before = _size(part)
        reason: object = "the connection closed early"
        try:
            if _fetch(remote, part, progress):
                return
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise DassError(f"{remote.url} answers {error.code} {error.reason}: {_by_hand(part)}") from error
            reason = f"{error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = getattr(error, "reason", None) or error
        failures = 0 if _size(part) > before else failures + 1
    raise DassError(
        f"{remote.url} cannot be fetched ({reason}); {_size(part):,} bytes are kept: run the same command again, "
        f"or {_by_hand(part)}"
    )


def _fetch(remote: Remote, part: Path, progress: Progress | None) -> bool:
    """One request; appends what comes. Gives whether the file is complete, as far as its size tells."""
    have = _size(part)
    if remote.size is not None and have >= remote.size:
        return True
    headers = {"User-Agent": "dass"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(remote.url, headers=headers), timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return True  # nothing lies beyond what is there; the checksum will tell whether it is right
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        have = have if resumed else 0
        coming = response.headers.get("Content-Length")
        total = have + int(coming) if coming else remote.size or 0
        if remote.size is not None and total != remote.size:
            part.unlink(missing_ok=True)
            raise DassError(
                f"{remote.url} offers {total:,} bytes where {remote.size:,} are expected: the publisher changed it; "
                f"{_by_hand(part)}"
            )
        with part.open("ab" if resumed else "wb") as file:
            while chunk := _read(response):
                file.write(chunk)
                have += len(chunk)
                if progress:
                    progress(have, total)
    return have == total if total else True


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except OSError as error:  # the network's, not the disk's
        raise urllib.error.URLError(error) from error


def _verify(remote: Remote, path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    size = path.stat().st_size
    if digest != remote.md5 or (remote.size is not None and size != remote.size):
        path.unlink()
        raise DassError(
            f"{path.name.removesuffix('.part')} from {remote.url} is not the expected file ({size:,} bytes, MD5 "
            f"{digest} for {remote.md5}); it was removed: run the same command again"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _by_hand(part: Path) -> str:
    return f"fetch {part.name.removesuffix('.part')} by hand and pass it to `dass data import`"
