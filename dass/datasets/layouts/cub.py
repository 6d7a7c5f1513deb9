"""Reader of CUB-200-2011."""

from dass.datasets.archives.archive import Archive
from dass.datasets.layouts.annotations import read_pairs
from dass.datasets.listing import Entry, Listing
from dass.errors import DassError


def read_cub(archive: Archive) -> Listing:
    """Reads `images.txt`, `image_class_labels.txt`, `train_test_split.txt`, `classes.txt` and `images/`.

    The official split; whole images, the bounding boxes are not applied.

    Raises:
        DassError: a file is missing or damaged.
    """
    root = archive.around("train_test_split.txt")
    try:
        names = dict(read_pairs(root, "classes.txt"))
        numbers = sorted(names, key=int)
        label = {number: position for position, number in enumerate(numbers)}
        label_of = {image: label[number] for image, number in read_pairs(root, "image_class_labels.txt")}
        trains = {image: flag == "1" for image, flag in read_pairs(root, "train_test_split.txt")}
        parts: dict[bool, list[Entry]] = {True: [], False: []}
        for image, name in read_pairs(root, "images.txt"):
            parts[trains[image]].append(Entry(label_of[image], f"images/{name}"))
    except (KeyError, ValueError) as error:
        raise DassError(f"{archive.label}: the lists of images and classes do not fit together ({error})") from error
    # "001.Black_footed_Albatross" -> "Black footed Albatross"
    classes = tuple(names[number].split(".", 1)[-1].replace("_", " ") for number in numbers)
    listing = Listing(classes, tuple(parts[True]), tuple(parts[False]), root.read, "official")
    listing.check(archive.label)
    return listing
