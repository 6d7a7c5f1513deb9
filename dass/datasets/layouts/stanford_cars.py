"""Reader of Stanford Cars."""

from dass.datasets.archives.archive import Archive
from dass.datasets.layouts.annotations import images_in, read_mat, refuse_missing
from dass.datasets.listing import Entry, Listing
from dass.errors import DassError


def read_stanford_cars(archive: Archive) -> Listing:
    """Reads `cars_train/`, `cars_test/`, `devkit/` and `cars_test_annos_withlabels.mat`, wherever they lie.

    The official split; whole images, the bounding boxes are not applied. Kaggle's mirrors wrap each of the folders.

    Raises:
        DassError: a file is missing or damaged.
    """
    names = read_mat(archive.around("cars_meta.mat"), "cars_meta.mat", "class_names")
    classes = tuple(str(name) for name in names)
    train = _entries(archive, "cars_train_annos.mat", "cars_train", len(classes))
    test = _entries(archive, "cars_test_annos_withlabels.mat", "cars_test", len(classes))
    listing = Listing(classes, train, test, archive.read, "official")
    listing.check(archive.label)
    return listing


def _entries(archive: Archive, annotations: str, folder: str, classes: int) -> tuple[Entry, ...]:
    rows = read_mat(archive.around(annotations), annotations, "annotations")
    try:
        pairs = [
            (int(number) - 1, str(name))
            for number, name in zip(rows["class"].tolist(), rows["fname"].tolist(), strict=True)
        ]
    except (ValueError, TypeError, IndexError) as error:
        raise DassError(
            f"{archive.label}: {annotations} has no class and file name for each image ({error})"
        ) from error
    if any(not 0 <= label < classes for label, _ in pairs):
        raise DassError(f"{archive.label}: {annotations} has a class outside 1..{classes}: fetch it anew")
    images = images_in(archive, folder)
    refuse_missing(archive, [f"{folder}/{name}" for _, name in pairs if name not in images])
    return tuple(Entry(label, images[name]) for label, name in pairs)
