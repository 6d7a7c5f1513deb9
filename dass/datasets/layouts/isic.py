"""Reader of ISIC 2018 task 3 (skin lesions)."""

from dass.datasets.archives.archive import Archive
from dass.datasets.layouts.annotations import images_by_stem, read_table, refuse_missing
from dass.datasets.listing import HASH_RULE, Entry, Listing, hash_split
from dass.errors import DassError

_CODES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
_CLASSES = (
    "melanoma",
    "melanocytic nevus",
    "basal cell carcinoma",
    "actinic keratosis",
    "benign keratosis",
    "dermatofibroma",
    "vascular lesion",
)
_TRAIN = "ISIC2018_Task3_Training_GroundTruth.csv"
_TEST = "ISIC2018_Task3_Test_GroundTruth.csv"
_LESIONS = "ISIC2018_Task3_Training_LesionGroupings.csv"


def read_isic(archive: Archive) -> Listing:
    """Reads the unpacked training images and their ground truth, and those of the test where they are there too.

    With `ISIC2018_Task3_Test_GroundTruth.csv` the split is the official one. Without, it is by `HASH_RULE`, with all
    images of a lesion on one side where `ISIC2018_Task3_Training_LesionGroupings.csv` says which they are.

    Raises:
        DassError: a file is missing or damaged.
    """
    images = images_by_stem(archive)
    train = _entries(archive, _TRAIN, images)
    rule = "official"
    if archive.has(_TEST):
        test = _entries(archive, _TEST, images)
    else:
        rule = HASH_RULE
        lesion: dict[str, str] = {}
        if archive.has(_LESIONS):
            rule += "; all images of a lesion stay on one side"
            groups = read_table(archive.around(_LESIONS), _LESIONS, ("image", "lesion_id"))
            lesion = {images.get(stem, ""): lesion_id for stem, lesion_id in groups}
        train, test = hash_split(train, group=lambda name: lesion.get(name, name))
    listing = Listing(_CLASSES, train, test, archive.read, rule)
    listing.check(archive.label)
    return listing


def _entries(archive: Archive, truth: str, images: dict[str, str]) -> tuple[Entry, ...]:
    rows = read_table(archive.around(truth), truth, ("image", *_CODES))
    refuse_missing(archive, [row[0] for row in rows if row[0] not in images])
    try:
        flags = [[float(value) for value in row[1:]] for row in rows]
    except ValueError as error:
        raise DassError(f"{archive.label}: {truth}: {error}: fetch it anew") from error
    for row, values in zip(rows, flags, strict=True):
        if sorted(values) != [0, 0, 0, 0, 0, 0, 1]:
            raise DassError(f"{archive.label}: {truth} gives {row[0]} not exactly one class: fetch it anew")
    return tuple(Entry(values.index(1), images[row[0]]) for row, values in zip(rows, flags, strict=True))
