"""Reader of the form most datasets have: a folder of images for each class."""

from collections.abc import Callable

from dass.datasets.archive import Archive
from dass.datasets.listing import HASH_RULE, Entry, Listing, hash_split, is_image
from dass.errors import DassError

# Names under which publishers keep the images that are not for training, the preferred one first.
_TEST_FOLDERS = ("test", "val", "valid", "validation")


def read_class_folder(archive: Archive, group: Callable[[str], str] = lambda name: name) -> Listing:
    """Reads `train/CLASS/*` and `test/CLASS/*`, or `CLASS/*` alone, perhaps wrapped in one top folder.

    Without `test/` a folder `val/`, `valid/` or `validation/` takes its place; without any, the images are split by
    `HASH_RULE`. Files that are not images are passed over; images may lie in folders below that of their class.

    Args:
        archive: the images.
        group: where the images are split here, those with an equal group stay on one side.

    Raises:
        DassError: there are no classes, a class is empty, or train and test do not have the same classes.
    """
    root = _unwrapped(archive)
    top = {name.split("/")[0] for name in root.folders}
    if "train" not in top:
        classes, entries = _classes(root)
        train, test = hash_split(entries, group)
        listing = Listing(classes, train, test, root.read, HASH_RULE)
    elif other := next((name for name in _TEST_FOLDERS if name in top), None):
        classes, train = _classes(root, "train")
        test_classes, test = _classes(root, other)
        odd = sorted(set(classes) ^ set(test_classes))
        if odd:
            where = "train" if odd[0] in classes else other
            raise DassError(
                f"{archive.label}: class {odd[0]!r} is in {where}/ only: train and {other} need the same ones"
            )
        listing = Listing(classes, train, test, root.read, f"as given: train/ and {other}/")
    else:
        classes, entries = _classes(root, "train")
        train, test = hash_split(entries, group)
        listing = Listing(classes, train, test, root.read, HASH_RULE)
    listing.check(archive.label)
    return listing


def _unwrapped(archive: Archive) -> Archive:
    """Enters top folders as long as there is one alone, with nothing beside it but loose files that are no images."""
    while True:
        top = [name for name in archive.folders if "/" not in name]
        loose = any(is_image(name) and "/" not in name for name in archive.names)
        if len(top) != 1 or top[0] == "train" or loose:
            return archive
        archive = archive.below(top[0])


def _classes(root: Archive, part: str = "") -> tuple[tuple[str, ...], tuple[Entry, ...]]:
    """Class names (every folder is one, an empty one too) and images of one part."""
    inside = root.below(part)
    classes = tuple(sorted(name for name in inside.folders if "/" not in name))
    number = {name: label for label, name in enumerate(classes)}
    start = f"{part}/" if part else ""
    entries = tuple(
        Entry(number[name.split("/")[0]], start + name) for name in inside.names if "/" in name and is_image(name)
    )
    return classes, entries
