"""How much a folder or archive of unknown origin may hold: one rule for all kinds, kept while they are read."""

from dataclasses import dataclass

from dass.errors import DassError

MAX_ENTRIES = 5_000_000  # ImageNet as published has two million files
MAX_DEPTH = 32
MAX_LENGTH = 1024
# Image archives hardly shrink (annotation tables do, by ten or twenty times); a bomb shrinks by a thousand.
MAX_RATIO = 100
_RATIO_MATTERS_FROM = 10 * 2**20


@dataclass
class Budget:
    """Counts what has been read of one source and refuses what no set of images has.

    Attributes:
        label: name of the source in messages.
        packed: its size as it lies there, in bytes; None for a folder, which cannot grow.
    """

    label: str
    packed: int | None = None
    _entries: int = 0
    _bytes: int = 0

    def entry(self, name: str) -> None:
        """Counts a file or folder.

        Raises:
            DassError: it is one too many, or its path is too deep or too long.
        """
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise DassError(f"{self.label} holds more than {MAX_ENTRIES:,} files and folders: pass a part of it")
        if len(name) > MAX_LENGTH or name.count("/") > MAX_DEPTH:
            raise DassError(
                f"{self.label}: the path {name[:60]!r}... is more than {MAX_DEPTH} folders deep or {MAX_LENGTH} "
                "letters long, which no set of images needs: shorten it, or do not use this file"
            )

    def file(self, name: str, size: int, packed: int | None = None) -> None:
        """Counts the bytes of a file before they are read.

        Args:
            name: name of the file.
            size: unpacked size in bytes.
            packed: its own packed size in bytes, where that is known.

        Raises:
            DassError: it, or all files together, would grow too much.
        """
        if packed is not None:
            self._refuse(name, size, packed)
        self._bytes += size
        if self.packed is not None:
            self._refuse("all of it", self._bytes, self.packed)

    def unpacked(self, position: int) -> None:
        """Compares the place reached in a compressed stream, in bytes, with the size of the archive.

        Raises:
            DassError: the stream has grown too much.
        """
        if self.packed is not None:
            self._refuse("all of it", position, self.packed)

    def _refuse(self, name: str, unpacked: int, packed: int) -> None:
        if unpacked > _RATIO_MATTERS_FROM and unpacked > MAX_RATIO * packed:
            raise DassError(
                f"{self.label}: {name} would grow from {packed:,} to {unpacked:,} bytes, which no image archive does: "
                "do not use this file, fetch it anew"
            )
