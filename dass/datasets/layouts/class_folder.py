"""Reader of the form most datasets have: a folder of images for each class."""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from dass.datasets.archives.archive import Archive
from dass.datasets.layouts.parts import HELD_OUT, Part, find_parts
from dass.datasets.layouts.tree import Folder, make_tree
from dass.datasets.listing import HASH_RULE, Entry, Listing, count_endings, hash_split
from dass.datasets.near_duplicates import Read, split_apart
from dass.datasets.pictures import find_pictures
from dass.errors import DassError

_NEVER_USED: tuple[Part, ...] = ("unlabelled", "sample")


class NoClassFoldersError(DassError):
    """The images do not lie in class folders; a table may say their classes."""


@dataclass(frozen=True)
class _Level:
    """The folder in which classes or parts lie side by side.

    Attributes:
        folder: path of that folder.
        parts: which of its folders is which part; empty where its folders are the classes.
    """

    folder: Folder
    parts: dict[str, Part]


@dataclass(frozen=True)
class _Split:
    """Classes and images, named from the level, how the parts were told apart, and what is not used, with why."""

    classes: tuple[str, ...]
    train: tuple[Entry, ...]
    test: tuple[Entry, ...]
    rule: str
    unused: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_class_folder(
    archive: Archive, group: Callable[[str], str] = lambda name: name, *, look: bool = False
) -> Listing:
    """Reads `train/CLASS/*` and `test/CLASS/*`, or `CLASS/*` alone, perhaps wrapped in further folders.

    Parts are known by all their usual names (`find_parts`). Without a test part with classes, a validation part takes
    its place; without any, the images are split by `HASH_RULE`. What is not used is said in the notes and counted.
    Images may lie in folders below that of their class.

    Args:
        archive: archive with the images.
        group: where the images are split here, those with an equal group stay on one side.
        look: where they are split here, near-duplicates stay on one side, in place of `group`.

    Raises:
        NoClassFoldersError: the images lie in no class folders.
        DassError: a class is empty, train and test do not have the same classes, or folders that would become classes
            look like parts or like copies of each other.
    """
    pictures = find_pictures(archive)
    level = _find_level(make_tree(pictures.images, archive.folders), archive.label)
    split = _read_parts(level, group, archive.label) if level.parts else _read_classes(level, group, archive.label)
    start = f"{level.folder.path}/" if level.folder.path else ""
    read = archive.below(level.folder.path).read
    if look and split.rule == HASH_RULE:
        split = _kept_together(split, read)
    used = {start + entry.name for entry in (*split.train, *split.test)}
    counts = {name: len(list(level.folder.folders[name].all_images())) for name in split.unused}
    notes = [
        *split.notes,
        *(f"{name}/ is not used: {counts[name]:,} image(s){why}" for name, why in split.unused.items()),
    ]
    if loose := len(pictures.images) - len(used) - sum(counts.values()):
        notes.append(f"{loose:,} image(s) lie outside of the class folders and are not used")
    listing = Listing(
        split.classes,
        split.train,
        split.test,
        read,
        split.rule,
        count_endings(name for name in archive.names if name not in used),
        tuple(notes),
    )
    try:
        listing.check(archive.label)
    except DassError as error:
        others = ", ".join(f"{count:,} {ending}" for ending, count in count_endings(pictures.others).items())
        message = f"{error} (files that are no images: {others})" if others else str(error)
        raise (NoClassFoldersError if len(split.classes) < 2 else DassError)(message) from error
    return listing


def _kept_together(split: _Split, read: Read) -> _Split:
    """Splits anew with near-duplicates on one side; where there are none, nothing changes."""
    train, test, rule, notes = split_apart((*split.train, *split.test), split.classes, read)
    return replace(split, train=train, test=test, rule=rule, notes=(*split.notes, *notes))


def _read_classes(level: _Level, group: Callable[[str], str], label: str) -> _Split:
    _refuse_copies(level.folder, label)
    classes, entries = _entries(level.folder, level.folder.path)
    return _Split(classes, *hash_split(entries, group), HASH_RULE)


def _read_parts(level: _Level, group: Callable[[str], str], label: str) -> _Split:
    train_root = _train_folder(level, label).innermost()
    test_root, unused = _test_folder(level, train_root, label)
    classes, train = _entries(train_root, level.folder.path)
    if test_root is None:
        unused |= _beside_parts(level, train_root, label)
        return _Split(classes, *hash_split(train, group), HASH_RULE, unused)
    test_name = _inside(test_root, level)
    test_classes, test = _entries(test_root, level.folder.path)
    _refuse_other_classes(classes, test_classes, test_name, label)
    notes = (f"{test_name}/ is the test part",) if unused else ()  # where another may have been meant
    unused |= _beside_parts(level, train_root, label)
    return _Split(classes, train, test, f"as given: {_inside(train_root, level)}/ and {test_name}/", unused, notes)


def _find_level(folder: Folder, label: str) -> _Level:
    """Enters lone folders until parts or several folders lie side by side."""
    while True:
        parts = find_parts(folder.folders)
        if _are_parts(folder, parts, label):
            return _Level(folder, parts)
        lone = folder.lone()
        if lone is None:
            return _Level(folder, {})
        folder = lone


def _are_parts(folder: Folder, parts: dict[str, Part], label: str) -> bool:
    """Whether folders named as parts are parts: they hold class folders, where a class of such a name holds images."""
    filled = folder.filled
    named = [name for name in filled if name in parts]
    others = [name for name in filled if name not in parts]
    if not any(parts[name] == "train" for name in named):
        if len(named) > 1 and not others:
            raise DassError(f"{label} has {_these(named)} but no train part: rename the folder to train on to train/")
        return False
    if len(named) == 1 and others and all(len(one.innermost().filled) < 2 for one in filled.values()):
        return False  # a class of that name
    if any(filled[name].filled for name in named):
        beside = [name for name in others if filled[name].images]
        if len(named) == 1 and beside:
            raise DassError(
                f"{label}: {named[0]}/ holds folders and {_these(beside)} beside it hold images: pass {named[0]}/ "
                "alone if it is the train part; put its images directly into it if it is a class"
            )
        return True
    raise NoClassFoldersError(
        f"{label}: the images lie directly in {_these(named)}: put them into a folder for each class, or add a table "
        "of labels, metadata.csv with the columns file_name and label"
    )


def _train_folder(level: _Level, label: str) -> Folder:
    filled = level.folder.filled
    trains = [name for name, part in level.parts.items() if part == "train" and name in filled]
    if len(trains) > 1:
        raise DassError(f"{label}: {_these(trains)} both look like the train part: put them together or remove one")
    return filled[trains[0]]


def _test_folder(level: _Level, train: Folder, label: str) -> tuple[Folder | None, dict[str, str]]:
    """The part whose images become the test part, None if there is none; and the parts that are not used, with why."""
    chosen: Folder | None = None
    unused: dict[str, str] = {}
    for part in (*HELD_OUT, *_NEVER_USED):
        names = [name for name, one in level.parts.items() if one == part]
        labelled = [name for name in names if _has_classes(level.folder.folders[name], train)]
        if len(labelled) > 1 and part not in _NEVER_USED:
            raise DassError(f"{label}: {_these(labelled)} both look like the {part} part: remove one")
        for name in names:
            if name not in labelled:
                unused[name] = " without class folders"
            elif chosen is not None or part in _NEVER_USED:
                unused[name] = ""
            else:
                chosen = level.folder.folders[name].innermost()
    return chosen, unused


def _has_classes(part: Folder, train: Folder) -> bool:
    """Whether a part holds class folders. One other folder alone, as `test/images/`, is none."""
    inner = part.innermost()
    if len(inner.filled) > 1:
        return True
    return any(_key(name) in map(_key, train.folders) for name in inner.folders)


def _beside_parts(level: _Level, train: Folder, label: str) -> dict[str, str]:
    """Refuses what lies beside the parts and looks like another one, or like a copy of all; gives the rest."""
    unused: dict[str, str] = {}
    for name, folder in level.folder.filled.items():
        if name in level.parts:
            continue
        inner = folder.innermost()
        if "train" in find_parts(inner.folders).values():
            raise DassError(
                f"{label}: {_inside(inner, level)}/ beside {_these(level.parts)} holds such parts itself and looks "
                "like a copy: remove one of the two, or say which by --inside FOLDER"
            )
        if len(set(map(_key, inner.filled)) & set(map(_key, train.folders))) > 1:
            raise DassError(
                f"{label}: {name}/ beside {_these(level.parts)} holds the same classes: name it test/ or val/, "
                "or remove it"
            )
        unused[name] = f" beside {_these(level.parts)}"
    return unused


def _refuse_copies(root: Folder, label: str) -> None:
    """Refuses folders without images of their own that would become classes but hold classes or parts themselves."""
    filled = root.filled
    above = {name: set(folder.innermost().filled) for name, folder in filled.items() if not folder.images}
    for name, inner in above.items():
        if "train" in find_parts(inner).values() and len(find_parts(inner)) > 1:
            raise DassError(
                f"{label}: {name}/ holds {_these(inner)}, which look like parts: pass it alone, by "
                f"--inside {name}; parts come first and classes within them"
            )
        same = inner & set(filled)
        if same and len(same) * 2 >= len(inner):
            raise DassError(
                f"{label}: {name}/ holds folders named as those beside it ({_these(same)}) and looks like a copy: "
                f"remove one of the two, or say which by --inside {_inside_of(root, name)}"
            )
    names = sorted(above)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            same = above[first] & above[second]
            if len(same) > 1 and len(same) * 2 >= min(len(above[first]), len(above[second])):
                raise DassError(
                    f"{label}: {first}/ and {second}/ hold folders of the same names ({_these(same)}) and look like "
                    "parts or copies, not like classes: name them train/ and test/, or pass one by --inside"
                )


def _refuse_other_classes(train: tuple[str, ...], test: tuple[str, ...], test_name: str, label: str) -> None:
    if set(train) == set(test):
        return
    lone = [
        f"{', '.join(map(repr, own[:3]))}{f' and {len(own) - 3} more' if len(own) > 3 else ''} in {part}/ only"
        for part, own in (("train", sorted(set(train) - set(test))), (test_name, sorted(set(test) - set(train))))
        if own
    ]
    raise DassError(f"{label}: class {' and class '.join(lone)}: both parts need the same classes, spelt alike")


def _entries(root: Folder, level: str) -> tuple[tuple[str, ...], tuple[Entry, ...]]:
    """Class names (every folder is one, an empty one too) and images, named from the folder `level`."""
    classes = tuple(sorted(root.folders))
    start = len(level) + 1 if level else 0
    entries = sorted(
        Entry(label, image[start:]) for label, name in enumerate(classes) for image in root.folders[name].all_images()
    )
    return classes, tuple(entries)


def _inside(folder: Folder, level: _Level) -> str:
    """A folder's name as seen from the level."""
    return folder.path[len(level.folder.path) :].strip("/")


def _inside_of(root: Folder, name: str) -> str:
    """The full name of a folder within another."""
    return f"{root.path}/{name}".strip("/")


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _these(names: Iterable[str]) -> str:
    """Some names, for a message."""
    listed = sorted(names)
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    return ", ".join(f"{name}/" for name in listed[:4]) + more
