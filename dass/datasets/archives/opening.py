"""The one way in: a path of the user's -> an archive, whatever its file is called."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from dass.datasets.archives.archive import Archive
from dass.datasets.archives.folders import read_folder
from dass.datasets.archives.tars import read_tar
from dass.datasets.archives.zips import read_zip
from dass.errors import UsageError

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
_TARS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
# What people pass in place of an archive, told by its first bytes, and what helps.
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it and pass the folder",
    b"Rar!": "a RAR archive: unpack it and pass the folder",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard: unpack it (`tar --zstd -xf`) and pass what comes out",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: run `git lfs pull` where it came from",
    b"<": "a page of a web site, not an archive: its server wants a log-in or another address",
}


@contextmanager
def open_archive(path: Path, scratch: Path | None = None, names: str | None = None) -> Iterator[Archive]:
    """Opens a folder or a zip in place, a tar by unpacking it for as long as it is open.

    A file is told by its content, then by its name.

    Args:
        path: path that the user gave.
        scratch: where a tar's files lie while it is open, made when missing; None for the system's place.
        names: the encoding of file names that are not UTF-8; None to find out.

    Raises:
        DassError: the archive is damaged, or holds something that could reach outside of it or flood the disk.
        UsageError: there is nothing at `path`, it is no archive, or `names` does not fit.
    """
    if path.is_dir():
        yield read_folder(path, names)
    else:
        with _opened(path, scratch, names) as archive:
            yield archive


def _opened(path: Path, scratch: Path | None, names: str | None) -> AbstractContextManager[Archive]:
    wanted = "pass a folder, a .zip or a .tar file"
    if not path.exists():
        raise UsageError(f"{path} does not exist: {wanted}")
    if not path.is_file():
        raise UsageError(f"{path} is neither a folder nor a file: {wanted}")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; fix its permissions") from error
    if head.startswith((b"PK\3\4", b"PK\5\6", b"PK\7\10")):
        return read_zip(path, names)
    if head.startswith(_TARS) or head[257:262] == b"ustar":
        return read_tar(path, scratch, names)
    for start, is_what in _OTHERS.items():
        if head.lstrip().startswith(start):
            raise UsageError(f"{path} is {is_what}")
    name = path.name.lower()
    if name.endswith(".zip"):
        return read_zip(path, names)
    if name.endswith(ENDINGS):
        return read_tar(path, scratch, names)
    raise UsageError(f"{path} is neither a folder nor a .zip or .tar file: {wanted}")
