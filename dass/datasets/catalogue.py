"""The datasets that DaSS knows by name: who made them, under which terms, where they are and how they are read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dass.datasets.archives.archive import Archive
from dass.datasets.digits import read_digits
from dass.datasets.glyphs import make_glyphs
from dass.datasets.layouts.chestx import read_chestx
from dass.datasets.layouts.class_folder import read_class_folder
from dass.datasets.layouts.cub import read_cub
from dass.datasets.layouts.dtd import read_dtd
from dass.datasets.layouts.imagenet import read_imagenet
from dass.datasets.layouts.isic import read_isic
from dass.datasets.layouts.plantvillage import read_plantvillage
from dass.datasets.layouts.quickdraw import read_quickdraw, read_quickdraw_full
from dass.datasets.layouts.stanford_cars import read_stanford_cars
from dass.datasets.layouts.tiny_imagenet import read_tiny_imagenet
from dass.datasets.listing import Listing


@dataclass(frozen=True)
class Remote:
    """A file that its publisher lets anyone fetch.

    Attributes:
        url: address of the file.
        md5: checksum in hex, as published or as widely verified.
        size: size in bytes; None where it is not known.
    """

    url: str
    md5: str
    size: int | None = None


@dataclass(frozen=True)
class KnownDataset:
    """One entry of the catalogue.

    Attributes:
        name: name of the dataset in commands and params.yaml.
        title: full name, for people.
        licence: terms, as known; the publisher's page decides.
        citation: the publication to cite.
        page: address of the publisher's page.
        give: what to pass to `dass data import`; empty where it is made on the spot.
        read: function that reads the publisher's layout.
        markers: files or folders by which that layout is known, by the ends of their names; other archives are read as
            class folders.
        remote: the archive, where it may be fetched without registering.
        make: for data that need no file: makes it.
        size: training images, test images and classes, where a plan should know them before they are here.
    """

    name: str
    title: str
    licence: str
    citation: str
    page: str
    give: str = ""
    read: Callable[[Archive], Listing] = read_class_folder
    markers: tuple[str, ...] = ()
    remote: Remote | None = None
    make: Callable[[], Listing] | None = None
    size: tuple[int, int, int] | None = None

    def is_published_as(self, archive: Archive) -> bool:
        """Whether an archive has the publisher's layout."""
        return any(name.endswith(self.markers) for name in archive.names + archive.folders)

    @property
    def has_telling_markers(self) -> bool:
        """Whether the markers are files that hardly any other dataset has, not a usual ending or folder."""
        return all("." in marker[1:] for marker in self.markers)


_GUO = "; as in BSCD-FSL: Guo et al. A broader study of cross-domain few-shot learning. ECCV 2020"

_DATASETS = (
    KnownDataset(
        name="glyphs",
        title="Glyphs of the DejaVu fonts (drawn here)",
        licence="free (DejaVu fonts licence)",
        citation="none: drawn by this project",
        page="https://dejavu-fonts.github.io",
        make=partial(make_glyphs, train_per_class=40, test_per_class=2, seed=0),
    ),
    KnownDataset(
        name="digits",
        title="Handwritten digits of scikit-learn",
        licence="CC BY 4.0",
        citation="Alpaydin, Kaynak. Optical recognition of handwritten digits. UCI, 1998",
        page="https://archive.ics.uci.edu/dataset/80",
        make=read_digits,
    ),
    KnownDataset(
        name="tiny-imagenet",
        title="TinyImageNet",
        licence="ImageNet's terms of access: non-commercial research and education",
        citation="Le, Yang. Tiny ImageNet visual recognition challenge. CS 231N, Stanford, 2015",
        page="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        give="tiny-imagenet-200.zip, or the folder it unpacks to",
        read=read_tiny_imagenet,
        markers=("wnids.txt",),
        remote=Remote(
            "http://cs231n.stanford.edu/tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de", 248_100_043
        ),
    ),
    KnownDataset(
        name="cub",
        title="Caltech-UCSD Birds-200-2011",
        licence="non-commercial research and education; images belong to their photographers",
        citation="Wah et al. The Caltech-UCSD Birds-200-2011 dataset. CNS-TR-2011-001, 2011",
        page="https://data.caltech.edu/records/65de6-vp158",
        give="CUB_200_2011.tgz, or the folder it unpacks to",
        read=read_cub,
        markers=("train_test_split.txt",),
        remote=Remote(
            "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            "97eceeb196236b17998738112f37df78",
            1_150_585_339,
        ),
    ),
    KnownDataset(
        name="stanford_cars",
        title="Stanford Cars",
        licence="non-commercial research; no explicit licence",
        citation="Krause et al. 3D object representations for fine-grained categorization. 3dRR-13, 2013",
        page="https://ai.stanford.edu/~jkrause/cars/car_dataset.html (withdrawn; mirrors need registration)",
        give="a folder or zip with cars_train/, cars_test/, devkit/ and cars_test_annos_withlabels.mat",
        read=read_stanford_cars,
        markers=("cars_meta.mat",),
    ),
    KnownDataset(
        name="dtd",
        title="Describable Textures Dataset, release 1.0.1",
        licence="research purposes",
        citation="Cimpoi et al. Describing textures in the wild. CVPR 2014",
        page="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        give="dtd-r1.0.1.tar.gz, or the folder it unpacks to",
        read=read_dtd,
        markers=("labels/train1.txt",),
        remote=Remote(
            "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
            "fff73e5086ae6bdbea199a49dfb8a4c1",
            625_239_812,
        ),
    ),
    KnownDataset(
        name="quickdraw",
        title="Quick, Draw! (numpy bitmaps), 20 training drawings a class as in the paper",
        licence="CC BY 4.0",
        citation="Jongejan et al. The Quick, Draw! A.I. experiment. Google, 2016",
        page="https://console.cloud.google.com/storage/browser/quickdraw_dataset/full/numpy_bitmap",
        give="a folder with the CLASS.npy files of the classes you want",
        read=read_quickdraw,
        markers=(".npy",),
    ),
    KnownDataset(
        name="quickdraw_full",
        title="Quick, Draw! (numpy bitmaps), 1,000 drawings a class",
        licence="CC BY 4.0",
        citation="Jongejan et al. The Quick, Draw! A.I. experiment. Google, 2016",
        page="https://console.cloud.google.com/storage/browser/quickdraw_dataset/full/numpy_bitmap",
        give="a folder with the CLASS.npy files of the classes you want",
        read=read_quickdraw_full,
        markers=(".npy",),
    ),
    KnownDataset(
        name="plantvillage",
        title="PlantVillage (CropDisease)",
        licence="CC BY-SA 3.0",
        citation="Mohanty, Hughes, Salathe. Using deep learning for image-based plant disease detection. 2016" + _GUO,
        page="https://github.com/spMohanty/PlantVillage-Dataset",
        give="the repository's folder or zip (raw/color is read), or a class folder with train/ and test/",
        read=read_plantvillage,
        markers=("color",),
    ),
    KnownDataset(
        name="eurosat",
        title="EuroSAT (RGB)",
        licence="MIT",
        citation="Helber et al. EuroSAT: a novel dataset for land use and land cover classification. 2019" + _GUO,
        page="https://github.com/phelber/EuroSAT",
        give="EuroSAT.zip, or the folder it unpacks to",
        remote=Remote(
            "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
            "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
            "c8fa014336c82ac7804f0398fcb19387",
        ),
    ),
    KnownDataset(
        name="isic",
        title="ISIC 2018 task 3",
        licence="CC BY-NC 4.0",
        citation="Codella et al. Skin lesion analysis toward melanoma detection 2018. arXiv:1902.03368" + _GUO,
        page="https://challenge.isic-archive.com/data/#2018",
        give=(
            "a folder with ISIC2018_Task3_Training_Input/, ISIC2018_Task3_Training_GroundTruth.csv and, where you have "
            "them, the LesionGroupings.csv or the Test_Input/ and Test_GroundTruth.csv"
        ),
        read=read_isic,
        markers=("ISIC2018_Task3_Training_GroundTruth.csv",),
    ),
    KnownDataset(
        name="chestx",
        title="ChestX-ray8 (NIH), the single-label classes of BSCD-FSL",
        licence="free to use, with acknowledgement of the NIH Clinical Center",
        citation="Wang et al. ChestX-ray8: hospital-scale chest X-ray database and benchmarks. CVPR 2017" + _GUO,
        page="https://nihcc.app.box.com/v/ChestXray-NIHCC",
        give="a folder with Data_Entry_2017.csv, all the unpacked images_*/ and, for the official split, test_list.txt",
        read=read_chestx,
        markers=("Data_Entry_2017.csv",),
    ),
    KnownDataset(
        name="imagenet",
        title="ImageNet-1K (ILSVRC 2012)",
        licence="ImageNet's terms of access: non-commercial research and education",
        citation="Russakovsky et al. ImageNet large scale visual recognition challenge. IJCV, 2015",
        page="https://image-net.org/download.php (registration needed)",
        give=(
            "a folder with train/WNID/*.JPEG (each WNID.tar unpacked) and val/WNID/*.JPEG, or val/*.JPEG and the "
            "unpacked ILSVRC2012_devkit_t12/ or Kaggle's LOC_val_solution.csv"
        ),
        read=read_imagenet,
        markers=("ILSVRC2012_validation_ground_truth.txt", "LOC_val_solution.csv"),
        size=(1_281_167, 50_000, 1000),
    ),
)


def all_datasets() -> tuple[KnownDataset, ...]:
    """The whole catalogue, what needs no file first."""
    return _DATASETS


def find_dataset(name: str) -> KnownDataset | None:
    """The entry of that name; None for a dataset of the user's own."""
    return next((dataset for dataset in _DATASETS if dataset.name == name), None)
