"""A smaller zip of the same layout, for machines to which little can be carried."""

import zipfile
from collections import defaultdict
from pathlib import Path, PurePosixPath

from dass.datasets.archives.opening import open_archive
from dass.datasets.layouts.parts import find_parts
from dass.datasets.listing import is_image
from dass.errors import UsageError
from dass.files import atomic_write

MADE = (1980, 1, 1, 0, 0, 0)  # the time of every file in a zip made here, so that equal contents give equal bytes


def thin(archive: Path, out: Path, per_folder: int) -> tuple[int, int]:
    """Copies an archive, but of each folder of training images no more than `per_folder`, evenly over sorted names.

    Training images are those with a folder named as a train part above them and none named as another part. Other
    images and files are copied, but for hidden ones and empty folders. So a layout that says where each image
    belongs by its folder stays whole; one with lists of training images does not.

    Args:
        archive: a folder, .zip or .tar.
        out: the .zip to write, atomically.
        per_folder: at least 1.

    Returns:
        Images of training folders kept, and there.

    Raises:
        UsageError: `per_folder` below 1, `out` is no .zip or is or lies in the archive, or there are no such images.
        DassError: the archive is damaged, or `out` cannot be written.
    """
    if per_folder < 1:
        raise UsageError(f"--per-folder must be at least 1, found {per_folder}")
    if out.suffix.lower() != ".zip":
        raise UsageError(f"{out} is not a .zip: give a name that ends in .zip")
    if archive.resolve() in (out.resolve(), *out.resolve().parents):
        raise UsageError(f"{out} is, or lies in, what is to be thinned: give another place")
    with open_archive(archive) as files:
        folders: dict[str, list[str]] = defaultdict(list)
        part_of = find_parts({part for folder in files.folders for part in folder.split("/")})
        for name in files.names:
            above = PurePosixPath(name).parent
            if is_image(name) and {part_of.get(part) for part in above.parts} - {None} == {"train"}:
                folders[str(above)].append(name)
        if not folders:
            raise UsageError(f"{archive} has no images below a folder named train or the like: nothing to thin")
        dropped = {name for names in folders.values() for name in names} - {
            names[index * len(names) // per_folder] if len(names) > per_folder else names[index]
            for names in folders.values()
            for index in range(min(per_folder, len(names)))
        }

        def write(temporary: Path) -> None:
            with zipfile.ZipFile(temporary, "w") as zipped:
                for name in files.names:
                    if name not in dropped:
                        how = zipfile.ZIP_STORED if is_image(name) else zipfile.ZIP_DEFLATED  # images do not shrink
                        zipped.writestr(zipfile.ZipInfo(name, MADE), files.read(name), how)

        atomic_write(out, write)
    there = sum(map(len, folders.values()))
    return there - len(dropped), there
