"""Reader of Stanford Cars."""

from dass.datasets.archive import Archive
from dass.datasets.layouts.annotations import read_mat
from dass.datasets.listing import Entry, Listing
from dass.errors import DassError


def read_stanford_cars(archive: Archive) -> Listing:
    """Reads `cars_train/`, `cars_test/`, `devkit/` and `cars_test_annos_withlabels.mat` (beside or in `devkit/`).

    The official split; whole images, the bounding boxes are not applied.

    Raises:
        DassError: a file is missing or damaged.
    """
    root = archive.around("devkit")
    labelled = "cars_test_annos_withlabels.mat"
    of_test = labelled if labelled in root.names else f"devkit/{labelled}"
    classes = tuple(str(name) for name in read_mat(root, "devkit/cars_meta.mat", "class_names"))
    train = _entries(root, "devkit/cars_train_annos.mat", "cars_train", len(classes))
    test = _entries(root, of_test, "cars_test", len(classes))
    listing = Listing(classes, train, test, root.read, "official")
    listing.check(archive.label)
    return listing


def _entries(root: Archive, annotations: str, folder: str, classes: int) -> tuple[Entry, ...]:
    rows = read_mat(root, annotations, "annotations")
    try:
        entries = tuple(
            Entry(int(number) - 1, f"{folder}/{name}")
            for number, name in zip(rows["class"].tolist(), rows["fname"].tolist(), strict=True)
        )
    except (ValueError, TypeError, IndexError) as error:
        raise DassError(f"{root.label}: {annotations} has no class and file name for each image ({error})") from error
    if any(not 0 <= entry.label < classes for entry in entries):
        raise DassError(f"{root.label}: {annotations} has a class outside 1..{classes}: fetch it anew")
    return entries
