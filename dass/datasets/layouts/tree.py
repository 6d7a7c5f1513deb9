"""The folders of an archive with the images in each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass
class Folder:
    """A folder.

    Attributes:
        path: its name from the top, empty for the top itself.
        images: full names of the images that lie directly in it.
        folders: the folders in it, by their bare names.
    """

    path: str
    images: list[str] = field(default_factory=list)
    folders: dict[str, "Folder"] = field(default_factory=dict)

    def all_images(self) -> Iterator[str]:
        """Full names of the images in it and below."""
        yield from self.images
        for folder in self.folders.values():
            yield from folder.all_images()

    @property
    def filled(self) -> dict[str, "Folder"]:
        """Those of its folders that have an image somewhere."""
        return {name: folder for name, folder in self.folders.items() if any(folder.all_images())}

    def lone(self) -> "Folder | None":
        """The one folder to enter: all images lie in it, and none directly."""
        filled = list(self.filled.values())
        return filled[0] if len(filled) == 1 and not self.images and not filled[0].images else None

    def innermost(self) -> "Folder":
        """The folder that is reached by entering lone folders, as unpackers and publishers wrap them."""
        folder = self
        while (inner := folder.lone()) is not None:
            folder = inner
        return folder


def make_tree(images: Iterable[str], folders: Iterable[str]) -> Folder:
    """Builds the tree of an archive's folders (the empty ones too) and images."""
    top = Folder("")
    made = {"": top}

    def find(path: str) -> Folder:
        if path not in made:
            above, _, name = path.rpartition("/")
            made[path] = find(above).folders.setdefault(name, Folder(path))
        return made[path]

    for path in folders:
        find(path)
    for name in images:
        find(name.rpartition("/")[0]).images.append(name)
    return top
