"""Reader of TinyImageNet in its official layout."""

from dass.datasets.archives.archive import Archive
from dass.datasets.listing import Entry, Listing, is_image
from dass.errors import DassError


def read_tiny_imagenet(archive: Archive) -> Listing:
    """Reads `wnids.txt`, `words.txt`, `train/WNID/images/*` and `val/images/*` with `val/val_annotations.txt`.

    Mirrors have the validation images in `val/WNID/*`, with or without that table. The official validation images
    become the test part (the official test labels were never published; the source splits use neither). A class is
    named by its WNID and the first of its words, since words alone repeat.

    Raises:
        DassError: a file of the layout is missing or damaged, or a class has no images.
    """
    root = archive.around("wnids.txt")
    wnids = sorted(root.text("wnids.txt").split())
    number = {wnid: label for label, wnid in enumerate(wnids)}
    words = dict(line.split("\t", 1) for line in root.text("words.txt").splitlines() if "\t" in line)
    train = [
        Entry(number[parts[1]], name)
        for name in root.names
        if is_image(name) and (parts := name.split("/"))[0] == "train" and len(parts) > 2 and parts[1] in number
    ]
    test = _in_class_folders(root, number) or _annotated(root, number)
    classes = tuple(f"{wnid} {words.get(wnid, '').split(',')[0].strip()}".strip() for wnid in wnids)
    listing = Listing(classes, tuple(train), tuple(test), root.read, "official: train, and val as test")
    listing.check(archive.label)
    return listing


def _in_class_folders(root: Archive, number: dict[str, int]) -> list[Entry]:
    return [
        Entry(number[parts[1]], name)
        for name in root.names
        if is_image(name) and (parts := name.split("/"))[0] == "val" and len(parts) > 2 and parts[1] in number
    ]


def _annotated(root: Archive, number: dict[str, int]) -> list[Entry]:
    test = []
    for line in root.text("val/val_annotations.txt").splitlines():
        file, wnid = (*line.split("\t"), "", "")[:2]
        if wnid not in number:
            raise DassError(f"{root.label}: val/val_annotations.txt: no WNID of wnids.txt in {line!r}: fetch it anew")
        test.append(Entry(number[wnid], f"val/images/{file}"))
    return test
