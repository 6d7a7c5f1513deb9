"""Reader of PlantVillage (CropDisease in BSCD-FSL)."""

from dass.datasets.archives.archive import Archive
from dass.datasets.layouts.class_folder import read_class_folder
from dass.datasets.listing import Listing


def read_plantvillage(archive: Archive) -> Listing:
    """Reads the authors' `raw/color/CLASS/*` or any class folder with `train/` and `test/`.

    Where there is no `test/`, all images of one leaf (the file name's part before `___`) stay on one side.

    Raises:
        DassError: there are no classes, or one is empty.
    """
    colored = archive.around("color").below("color") if archive.has("color") else archive
    return read_class_folder(colored, group=lambda name: name.rsplit("/", 1)[-1].split("___")[0])
