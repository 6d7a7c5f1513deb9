"""What a folder, a zip and a tar look like to all readers: files by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dass.errors import DassError

MAX_FILE = 512 * 2**20  # bytes of one file that is read whole: no image and no table of labels is larger


@dataclass(frozen=True)
class Archive:
    """Files by name, wherever they lie; nothing is unpacked to read one.

    Attributes:
        label: name of the archive in messages.
        names: its files, sorted, with `/` between folders, in Unicode's composed form (NFC); hidden files are left out.
        folders: its folders, the empty ones too, sorted.
        open_bytes: reads one file, or as many bytes of its beginning as the second argument says (-1 for all).
        special: what it holds that is no file, such as pipes, and how many of each.
        notes: notes for the user on how the archive was read, a sentence each.
    """

    label: str
    names: tuple[str, ...]
    folders: tuple[str, ...]
    open_bytes: Callable[[str, int], bytes]
    special: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def read(self, name: str, limit: int = -1) -> bytes:
        """The bytes of a file, or its first `limit` bytes.

        Raises:
            DassError: it is missing, damaged, or larger than `MAX_FILE` and wanted whole.
        """
        try:
            data = self.open_bytes(name, MAX_FILE + 1 if limit < 0 else limit)
        except (KeyError, FileNotFoundError) as error:
            raise DassError(f"{self.label} has no file {name}: fetch it anew or complete it") from error
        except PermissionError as error:
            raise DassError(f"{self.label}: {name} cannot be read ({error.strerror}): fix its permissions") from error
        except DassError:
            raise
        except Exception as error:  # what unpacks arbitrary bytes raises nearly anything
            raise DassError(f"{self.label}: {name} cannot be read ({error}): fetch the archive anew") from error
        if limit < 0 and len(data) > MAX_FILE:
            raise DassError(
                f"{self.label}: {name} has more than {MAX_FILE:,} bytes, which no image and no table of labels has: "
                "remove it"
            )
        return data

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
            self.special,
            self.notes,
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
        names = [name for name in self.names + self.folders if f"/{name}".endswith(ending)]
        if not names:
            raise DassError(f"{self.label} has no {marker}: pass the folder or archive as its publisher gives it")
        nearest = min(names, key=lambda name: (name.count("/"), name))
        return self.below(nearest[: -len(ending)] if nearest != marker else "")


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that file managers leave behind or hide."""
    return name[:1] == "." or name == "__MACOSX"


def visible(names: Iterable[str]) -> tuple[str, ...]:
    """The names without a hidden part, sorted."""
    return tuple(sorted(name for name in names if not any(map(is_hidden, name.split("/")))))


def with_parents(names: Iterable[str], folders: Iterable[str]) -> set[str]:
    """All folders: those that are listed, and those that a listed file or folder lies in."""
    parents: set[str] = set()
    for name in (*names, *folders):
        for parent in PurePosixPath(name).parents:
            if str(parent) in parents:
                break
            parents.add(str(parent))
    return (parents | set(folders)) - {".", ""}
