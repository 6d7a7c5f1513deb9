"""Reader of a folder that the user names."""

import os
import stat
from collections import Counter
from operator import itemgetter
from pathlib import Path

from dass.datasets.archives.archive import Archive, is_hidden
from dass.datasets.archives.budget import Budget
from dass.datasets.archives.names import choose_encoding, encoding_note, spell
from dass.errors import DassError

_MAX_VISITS = 10  # of one folder: links that fork at each of a few steps lead to millions of paths
Identity = tuple[int, int]  # disk and place on it: what makes a folder one and the same


def read_folder(root: Path, names: str | None = None) -> Archive:
    """Lists a folder with all below it, links too, since large disks and caches are put together of them.

    A link that leads back to a folder it lies in is not followed again. Pipes, sockets and devices are counted, not
    opened. Hidden files and folders are not looked at.

    Args:
        root: path of the folder.
        names: the encoding of its file names; None to find out.

    Raises:
        DassError: a folder cannot be read, two names are the same in composed Unicode, links fork again and again, or
            there is far too much.
        UsageError: `names` does not fit.
    """
    files: list[str] = []
    folders: list[str] = []
    special: Counter[str] = Counter()
    visits: Counter[Identity] = Counter()
    budget = Budget(str(root))
    # Each folder to be read with the identities of those it lies in, itself included.
    waiting: list[tuple[str, tuple[Identity, ...]]] = [("", (_identity(root.stat()),))]
    while waiting:
        inside, above = waiting.pop()
        for name, status in _entries(root / inside):
            path = f"{inside}/{name}" if inside else name
            budget.entry(path)
            if status is None or stat.S_ISREG(status.st_mode):
                files.append(path)
            elif not stat.S_ISDIR(status.st_mode):
                special["pipe, socket or device"] += 1
            elif (identity := _identity(status)) in above:
                special["link in a circle"] += 1
            else:
                visits[identity] += 1
                if visits[identity] > _MAX_VISITS:
                    raise DassError(f"{root / path} is reached by more than {_MAX_VISITS} links: remove some")
                folders.append(path)
                waiting.append((path, (*above, identity)))

    raw = [os.fsencode(path) for path in (*files, *folders)]
    encoding = choose_encoding(raw, "latin-1", names)
    paths: dict[str, str] = {}
    for path in files:
        spelt = spell(os.fsencode(path), encoding)
        if spelt in paths:
            raise DassError(f"{root} holds {spelt} twice, in two spellings of its letters: rename or remove one")
        paths[spelt] = path

    def read(name: str, limit: int) -> bytes:
        path = root / paths[name]
        if path.is_symlink() and not path.exists():
            raise DassError(f"{path} is a link that leads nowhere: bring back what it points to or remove it")
        with path.open("rb") as file:
            return file.read(limit)

    return Archive(
        str(root),
        tuple(sorted(paths)),
        tuple(sorted({spell(os.fsencode(path), encoding) for path in folders})),
        read,
        dict(special),
        encoding_note(raw, encoding),
    )


def _entries(folder: Path) -> list[tuple[str, os.stat_result | None]]:
    """The visible content of one folder and what each leads to; None for a link that leads nowhere."""
    try:
        with os.scandir(folder) as entries:
            seen = [(entry.name, _status(entry)) for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise DassError(f"{error.filename or folder} cannot be read: {error.strerror}; fix its permissions") from error
    return sorted(seen, key=itemgetter(0))


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        if entry.is_symlink():
            return None
        raise


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino
