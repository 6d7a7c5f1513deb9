"""Reader of ImageNet-1K (ILSVRC 2012)."""

from dass.datasets.archive import Archive
from dass.datasets.layouts.annotations import read_mat, read_rows
from dass.datasets.listing import Entry, Listing, is_image
from dass.errors import DassError

_TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"


def read_imagenet(archive: Archive) -> Listing:
    """Reads `train/WNID/*` and, as test, `val/WNID/*`, or flat `val/*` with the unpacked devkit beside it.

    Classes are named by WNID. The official test labels were never published.

    Raises:
        DassError: a file is missing or damaged.
    """
    root = archive.around("train")
    wnids = tuple(sorted({name.split("/")[1] for name in root.folders if name.startswith("train/")}))
    number = {wnid: label for label, wnid in enumerate(wnids)}
    images = [name.split("/") for name in root.names if is_image(name)]
    train = tuple(Entry(number[path[1]], "/".join(path)) for path in images if path[0] == "train" and len(path) == 3)
    validation = [path for path in images if path[0] == "val"]
    try:
        if any(len(path) == 2 for path in validation):
            wnid_of = _ground_truth(archive, len(validation))
            test = tuple(
                Entry(number[wnid], "/".join(path)) for path, wnid in zip(sorted(validation), wnid_of, strict=True)
            )
        else:
            test = tuple(Entry(number[path[1]], "/".join(path)) for path in validation)
    except KeyError as error:
        raise DassError(f"{archive.label}: class {error} of val is not in train: complete it") from error
    listing = Listing(wnids, train, test, root.read, "official: train, and val as test")
    listing.check(archive.label)
    return listing


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
