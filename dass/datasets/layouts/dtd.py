"""Reader of the Describable Textures Dataset."""

from dass.datasets.archives.archive import Archive
from dass.datasets.layouts.annotations import read_rows
from dass.datasets.listing import Entry, Listing


def read_dtd(archive: Archive) -> Listing:
    """Reads `images/CLASS/*` and the first of the ten official splits, `labels/{train,val,test}1.txt`.

    The lists of training and validation images together are the train part.

    Raises:
        DassError: a file is missing or damaged.
    """
    root = archive.around("labels/train1.txt")
    parts = [
        [row[0] for name in names for row in read_rows(root, f"labels/{name}.txt")]
        for names in (("train1", "val1"), ("test1",))
    ]
    classes = tuple(sorted({name.split("/")[0] for names in parts for name in names}))
    number = {name: label for label, name in enumerate(classes)}
    train, test = (tuple(Entry(number[name.split("/")[0]], f"images/{name}") for name in names) for names in parts)
    listing = Listing(classes, train, test, root.read, "official split 1: train and val as train, test as test")
    listing.check(archive.label)
    return listing
