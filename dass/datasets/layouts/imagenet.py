"""Reader of ImageNet-1K (ILSVRC 2012)."""

from dass.datasets.archives.archive import Archive
from dass.datasets.layouts.annotations import around_images, read_mat, read_rows, read_table
from dass.datasets.listing import Entry, Listing, is_image
from dass.errors import DassError

_SOLUTION = "LOC_val_solution.csv"
_TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"


def read_imagenet(archive: Archive) -> Listing:
    """Reads `train/WNID/*` and, as test, `val/WNID/*`, or flat `val/*` with a table of their classes.

    That table is the unpacked devkit's, or Kaggle's `LOC_val_solution.csv`, anywhere in the archive. Classes are named
    by WNID. The official test labels were never published.

    Raises:
        DassError: a file is missing or damaged.
    """
    root = around_images(archive, "train")  # Kaggle has one with annotations too
    wnids = tuple(sorted({name.split("/")[1] for name in root.folders if name.startswith("train/")}))
    number = {wnid: label for label, wnid in enumerate(wnids)}
    images = [name.split("/") for name in root.names if is_image(name)]
    train = tuple(Entry(number[path[1]], "/".join(path)) for path in images if path[0] == "train" and len(path) == 3)
    validation = [path for path in images if path[0] == "val"]
    try:
        if any(len(path) == 2 for path in validation):
            names = sorted("/".join(path) for path in validation)
            wnid_of = _solution(archive, names) if archive.has(_SOLUTION) else _ground_truth(archive, len(names))
            test = tuple(Entry(number[wnid], name) for name, wnid in zip(names, wnid_of, strict=True))
        else:
            test = tuple(Entry(number[path[1]], "/".join(path)) for path in validation)
    except KeyError as error:
        raise DassError(f"{archive.label}: class {error} of val is not in train: complete it") from error
    listing = Listing(wnids, train, test, root.read, "official: train, and val as test")
    listing.check(archive.label)
    return listing


def _solution(archive: Archive, names: list[str]) -> list[str]:
    """WNID of each validation image, by Kaggle's table; a row's second column begins with it, boxes follow."""
    rows = read_table(archive.around(_SOLUTION), _SOLUTION, ("ImageId", "PredictionString"))
    wnid_of = {image: prediction.split(" ")[0] for image, prediction in rows}
    stems = [name.rsplit("/", 1)[-1].rsplit(".", 1)[0] for name in names]
    missing = [stem for stem in stems if stem not in wnid_of]
    if missing:
        raise DassError(f"{archive.label}: {_SOLUTION} has no class for {missing[0]}: fetch it anew")
    return [wnid_of[stem] for stem in stems]


def _ground_truth(archive: Archive, images: int) -> list[str]:
    """WNID of each validation image, in the order of the image names."""
    devkit = archive.around(_TRUTH)
    synsets = read_mat(devkit, "data/meta.mat", "synsets")
    ids = [int(row[0]) for row in read_rows(devkit, _TRUTH)]
    if len(ids) != images:
        raise DassError(f"{archive.label}: the devkit labels {len(ids)} validation images but there are {images}")
    try:
        wnid = dict(zip(synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist(), strict=True))
        return [wnid[number] for number in ids]
    except (KeyError, ValueError, IndexError) as error:
        raise DassError(f"{archive.label}: the devkit has no WNID for {error}: fetch it anew") from error
