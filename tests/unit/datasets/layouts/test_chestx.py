import pytest

from dass.datasets.archives.opening import open_archive
from dass.datasets.layouts.chestx import read_chestx
from dass.errors import DassError

SEVEN = ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumothorax")
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width"
)


@pytest.fixture
def rows():
    """Four patients with two images for each of the seven findings, and images that BSCD-FSL leaves out."""
    kept = [
        (f"{patient:08}_{visit:03}.png", SEVEN[patient % 7], patient) for patient in range(28) for visit in range(2)
    ]
    others = enumerate(("No Finding", "Pneumonia", "Hernia", "Mass|Nodule"), 100)
    return kept + [(f"{patient:08}_000.png", finding, patient) for patient, finding in others]


@pytest.fixture
def files(rows, image_bytes):
    table = "\n".join([HEADER, *(f"{image},{finding},0,{patient},60,M,PA,2000" for image, finding, patient in rows)])
    images = {
        f"images_{1 + number % 2:03}/images/{row[0]}": image_bytes(number, (16, 16), "L")
        for number, row in enumerate(rows)
    }
    return images | {"Data_Entry_2017.csv": table.encode()}


def test_single_findings_split_by_patient(files, put_zip):
    with open_archive(put_zip(files)) as archive:
        listing = read_chestx(archive)
    assert listing.classes == SEVEN
    assert (len(listing.train), len(listing.test)) == (42, 14)
    patients = [{entry.name.split("/")[-1][:8] for entry in part} for part in (listing.train, listing.test)]
    assert not patients[0] & patients[1]
    for entry in listing.train + listing.test:
        assert int(entry.name.split("/")[-1][:8]) % 7 == entry.label


def test_official_split(files, rows, put_folder):
    files["test_list.txt"] = "\n".join(row[0] for row in rows[:14]).encode()
    files["train_val_list.txt"] = "\n".join(row[0] for row in rows[14:]).encode()
    with open_archive(put_folder(files)) as archive:
        listing = read_chestx(archive)
    assert {entry.name.split("/")[-1] for entry in listing.test} == {row[0] for row in rows[:14]}
    assert len(listing.train) == 42


def test_parts_that_were_not_unpacked(files, put_zip):
    left = {name: data for name, data in files.items() if not name.startswith("images_002")}
    with open_archive(put_zip(left)) as archive, pytest.raises(DassError, match=r"lacks 28 annotated .* unpack all"):
        read_chestx(archive)


def test_a_missing_table(files, put_zip):
    del files["Data_Entry_2017.csv"]
    with open_archive(put_zip(files)) as archive, pytest.raises(DassError, match=r"has no Data_Entry_2017\.csv"):
        read_chestx(archive)
