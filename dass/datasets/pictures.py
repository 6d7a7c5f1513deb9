"""Which files of an archive are images: by their ending, and where that says nothing by their content."""

import io
from dataclasses import dataclass

from PIL import Image

from dass.datasets.archives.archive import Archive
from dass.datasets.decoding import FORMATS
from dass.datasets.listing import is_image

_HEAD = 32  # bytes by which a format is guessed


@dataclass(frozen=True)
class Pictures:
    """The files of an archive, parted.

    Attributes:
        images: sorted names of images.
        others: names of all other files, sorted.
    """

    images: tuple[str, ...]
    others: tuple[str, ...]


def find_pictures(archive: Archive) -> Pictures:
    """Parts images from other files. A file with an image's ending counts as one, even if it turns out to be broken.

    Raises:
        DassError: a file cannot be read.
    """
    Image.init()  # registers the formats
    odd = {name for name in archive.names if not is_image(name) and not _looks_like_image(archive, name)}
    return Pictures(
        tuple(name for name in archive.names if name not in odd),
        tuple(name for name in archive.names if name in odd),
    )


def _looks_like_image(archive: Archive, name: str) -> bool:
    head = archive.read(name, _HEAD)
    try:  # a text may begin with the two letters of a format, so the whole header is looked at
        if not any(accepts(head) is True for kind in FORMATS if (accepts := Image.OPEN[kind][1])):
            return False
        Image.open(io.BytesIO(archive.read(name)), formats=FORMATS).close()
    except Exception:  # a decoder fed with arbitrary bytes raises nearly anything
        return False
    return True
