import pytest

from dass.datasets.archives.opening import open_archive
from dass.datasets.layouts.plantvillage import read_plantvillage


@pytest.fixture
def leaves(image_bytes):
    """Thirty images of ten leaves in each of two classes."""
    return {
        f"{name}/{leaf:08}-{name[:2]}___RS_HL {view}.JPG": image_bytes(leaf, kind="JPEG")
        for name in ("Apple___Apple_scab", "Tomato___healthy")
        for leaf in range(10)
        for view in range(3)
    }


def test_authors_layout_keeps_a_leaf_on_one_side(leaves, put_folder):
    files = {f"PlantVillage-Dataset/raw/color/{name}": data for name, data in leaves.items()}
    files |= {f"PlantVillage-Dataset/raw/grayscale/{name}": data for name, data in leaves.items()}
    with open_archive(put_folder(files)) as archive:
        listing = read_plantvillage(archive)
    assert listing.classes == ("Apple___Apple_scab", "Tomato___healthy")
    assert (len(listing.train), len(listing.test)) == (48, 12)
    train, test = ({entry.name.split("/")[1][:11] for entry in part} for part in (listing.train, listing.test))
    assert not train & test


def test_given_split_is_kept(leaves, put_zip):
    files = {f"dataset/{part}/{name}": data for part in ("train", "test") for name, data in leaves.items()}
    with open_archive(put_zip(files)) as archive:
        listing = read_plantvillage(archive)
    assert (len(listing.train), len(listing.test)) == (60, 60)
    assert "train/ and test/" in listing.split_rule
