import pytest

from dass.datasets.archives.opening import open_archive
from dass.datasets.layouts.isic import read_isic
from dass.errors import DassError

CODES = "MEL,NV,BCC,AKIEC,BKL,DF,VASC"


def _truth(classes, start):
    rows = [
        f"ISIC_{start + number:07}," + ",".join("1.0" if label == column else "0.0" for column in range(7))
        for number, label in enumerate(classes)
    ]
    return "\n".join([f"image,{CODES}", *rows]).encode() + b"\n"


@pytest.fixture
def files(image_bytes):
    """Seven classes of six training images, two of each lesion."""
    classes = [label for label in range(7) for _ in range(6)]
    images = {
        f"ISIC2018_Task3_Training_Input/ISIC_{24306 + number:07}.jpg": image_bytes(number, (24, 18), kind="JPEG")
        for number in range(len(classes))
    }
    lesions = [f"ISIC_{24306 + number:07},HAM_{number // 2:07},histopathology" for number in range(len(classes))]
    return images | {
        "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv": _truth(classes, 24306),
        "ISIC2018_Task3_Training_LesionGroupings.csv": "\r\n".join(
            ["image,lesion_id,diagnosis_confirm_type", *lesions]
        ).encode(),
        "ISIC2018_Task3_Training_Input/LICENSE.txt": b"CC BY-NC",
    }


def test_without_the_test_labels_lesions_stay_whole(files, put_zip):
    with open_archive(put_zip(files)) as archive:
        listing = read_isic(archive)
    assert listing.classes[0] == "melanoma"
    assert len(listing.classes) == 7
    assert (len(listing.train), len(listing.test)) == (28, 14)
    lesions = [{int(entry.name[-9:-4]) // 2 for entry in part} for part in (listing.train, listing.test)]
    assert not lesions[0] & lesions[1]
    assert "lesion" in listing.split_rule


def test_with_the_test_labels_the_split_is_official(files, put_folder, image_bytes):
    for number in range(7):
        files[f"ISIC2018_Task3_Test_Input/ISIC_{34524 + number:07}.jpg"] = image_bytes(number, kind="JPEG")
    files["ISIC2018_Task3_Test_GroundTruth.csv"] = _truth(range(7), 34524)
    with open_archive(put_folder(files)) as archive:
        listing = read_isic(archive)
    assert (len(listing.train), len(listing.test)) == (42, 7)
    assert listing.split_rule == "official"
    assert [entry.label for entry in listing.test] == list(range(7))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"VASC", b"VAS", "lacks 'VASC'"),
        (b"1.0", b"0.0", "not exactly one class"),
        (b"1.0", b"yes", "could not convert"),
        (b"ISIC_0024306", b"ISIC_9999999", "lacks 1 annotated image"),
        (b",0.0\n", b"\n", "line 2"),
    ],
)
def test_damaged_ground_truth(files, put_zip, old, new, message):
    name = "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv"
    files[name] = files[name].replace(old, new)
    with open_archive(put_zip(files)) as archive, pytest.raises(DassError, match=message):
        read_isic(archive)


def test_an_image_that_is_there_twice(files, put_zip, image_bytes):
    files["copy/ISIC_0024306.jpg"] = image_bytes(kind="JPEG")
    with open_archive(put_zip(files)) as archive, pytest.raises(DassError, match="remove one"):
        read_isic(archive)
