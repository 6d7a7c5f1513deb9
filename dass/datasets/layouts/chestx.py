"""Reader of ChestX-ray8/14 as BSCD-FSL uses it."""

from dass.datasets.archives.archive import Archive
from dass.datasets.layouts.annotations import images_by_stem, read_rows, read_table, refuse_missing
from dass.datasets.listing import HASH_RULE, Entry, Listing, hash_split

# The findings of ChestX-ray8 but pneumonia, which BSCD-FSL leaves out.
_CLASSES = ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumothorax")
_TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")


def read_chestx(archive: Archive) -> Listing:
    """Reads `Data_Entry_2017.csv` and the images, in `images/` or in `images_001/images/` and so on.

    Only images with a single finding, one of the seven classes of BSCD-FSL, are taken. The split is the official one
    where `test_list.txt` is there, else by `HASH_RULE` with all images of a patient on one side.

    Raises:
        DassError: a file is missing or damaged.
    """
    table = next((name for name in _TABLES if archive.has(name)), _TABLES[0])
    rows = read_table(archive.around(table), table, ("Image Index", "Finding Labels", "Patient ID"))
    images = images_by_stem(archive)
    rows = [row for row in rows if row[1] in _CLASSES]
    refuse_missing(archive, [row[0] for row in rows if _stem(row[0]) not in images])
    entries = [Entry(_CLASSES.index(finding), images[_stem(image)]) for image, finding, _ in rows]
    if archive.has("test_list.txt"):
        for_test = {_stem(row[0]) for row in read_rows(archive.around("test_list.txt"), "test_list.txt")}
        train = tuple(entry for entry in entries if _stem(entry.name) not in for_test)
        test = tuple(entry for entry in entries if _stem(entry.name) in for_test)
        rule = "official (by patient), images with a single one of seven findings"
    else:
        patient = {images[_stem(image)]: patient for image, _, patient in rows}
        train, test = hash_split(entries, group=patient.__getitem__)
        rule = f"images with a single one of seven findings; {HASH_RULE}; all images of a patient stay on one side"
    listing = Listing(_CLASSES, train, test, archive.read, rule)
    listing.check(archive.label)
    return listing


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
