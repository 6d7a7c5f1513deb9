import io

import numpy as np
import pytest
import scipy.io

from dass.datasets.archives.opening import open_archive
from dass.datasets.importing import import_dataset
from dass.datasets.layouts.imagenet import read_imagenet
from dass.errors import DassError

WNIDS = ("n01440764", "n01443537", "n01484850")
# The devkit numbers classes in an order of its own, and has inner nodes of the tree after the leaves.
IDS = {"n01443537": 1, "n01484850": 2, "n01440764": 3, "n00000001": 1001}


def _meta():
    kinds = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
    rows = [(number, wnid, "a fish", int(number > 1000)) for wnid, number in IDS.items()]
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"synsets": np.array(rows, dtype=kinds).reshape(-1, 1)})
    return buffer.getvalue()


@pytest.fixture
def train(image_bytes):
    return {
        f"ILSVRC/train/{wnid}/{wnid}_{number}.JPEG": image_bytes(number, kind="JPEG")
        for wnid in WNIDS
        for number in range(3)
    }


@pytest.fixture
def flat(train, image_bytes):
    """Validation images as they come out of their tar, and the devkit."""
    truth = [IDS[wnid] for wnid in (*WNIDS, *WNIDS[::-1])]
    images = {f"ILSVRC/val/ILSVRC2012_val_{number:08}.JPEG": image_bytes(kind="JPEG") for number in range(1, 7)}
    devkit = {
        "ILSVRC/ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": "\n".join(map(str, truth)).encode(),
        "ILSVRC/ILSVRC2012_devkit_t12/data/meta.mat": _meta(),
    }
    return train | images | devkit


def test_flat_validation_images_with_the_devkit(flat, put_zip):
    with open_archive(put_zip(flat)) as archive:
        listing = read_imagenet(archive)
    assert listing.classes == WNIDS
    assert [entry.label for entry in listing.train] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [entry.label for entry in listing.test] == [0, 1, 2, 2, 1, 0]


def test_validation_images_in_class_folders(train, put_folder, image_bytes):
    for wnid in WNIDS:
        train[f"ILSVRC/val/{wnid}/ILSVRC2012_val_{wnid}.JPEG"] = image_bytes(kind="JPEG")
    with open_archive(put_folder(train)) as archive:
        listing = read_imagenet(archive)
    assert [entry.label for entry in listing.test] == [0, 1, 2]


def test_damage(flat, put_zip):
    truth = "ILSVRC/ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
    for damaged, message in (
        (flat | {truth: b"1\n2\n"}, "labels 2 validation images but there are 6"),
        (flat | {truth: b"1\n2\n3\n4\n5\n6\n"}, "no WNID for 4"),
        (flat | {truth: b"1\n2\n3\n1001\n1\n1\n"}, "is not in train"),
        ({name: data for name, data in flat.items() if name != truth}, "has no data/ILSVRC2012_validation"),
        ({name: data for name, data in flat.items() if "/val/" not in name}, "has no test images"),
        ({name: data for name, data in flat.items() if "/train/" not in name}, "has no train"),
    ):
        with open_archive(put_zip(damaged)) as archive, pytest.raises(DassError, match=message):
            read_imagenet(archive)


@pytest.fixture
def kaggle(image_bytes):
    """The competition's archive: annotations in folders of the same names, a flat test part, a table for val."""
    files = {
        f"ILSVRC/Data/CLS-LOC/train/{wnid}/{wnid}_{number}.JPEG": image_bytes(number, kind="JPEG")
        for wnid in WNIDS
        for number in range(3)
    }
    rows = ["ImageId,PredictionString"]
    for number, wnid in enumerate((*WNIDS, *WNIDS[::-1]), 1):
        name = f"ILSVRC2012_val_{number:08}"
        files[f"ILSVRC/Data/CLS-LOC/val/{name}.JPEG"] = image_bytes(kind="JPEG")
        files[f"ILSVRC/Annotations/CLS-LOC/val/{name}.xml"] = b"<annotation/>"
        rows.insert(1, f"{name},{wnid} 85 1 499 272 {wnid} 1 2 3 4 ")
    files[f"ILSVRC/Annotations/CLS-LOC/train/{WNIDS[0]}/{WNIDS[0]}_0.xml"] = b"<annotation/>"
    files["ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_00000001.JPEG"] = image_bytes(kind="JPEG")
    return files | {"LOC_val_solution.csv": "\n".join(rows).encode()}


def test_kaggle(kaggle, put_zip, tmp_path):
    packed = import_dataset("imagenet", put_zip(kaggle), tmp_path / "raw", 16)
    assert packed.card.classes == WNIDS
    assert packed.train_labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert packed.test_labels.tolist() == [0, 0, 1, 1, 2, 2]
    with open_archive(put_zip(kaggle)) as archive:
        assert [entry.label for entry in read_imagenet(archive).test] == [0, 1, 2, 2, 1, 0]
    kaggle["LOC_val_solution.csv"] = b"ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 3 4\n"
    with open_archive(put_zip(kaggle)) as archive, pytest.raises(DassError, match="ILSVRC2012_val_00000002"):
        read_imagenet(archive)


def test_another_name_is_told_which_one_to_use(kaggle, put_zip, tmp_path):
    card = import_dataset("mine", put_zip(kaggle), tmp_path / "raw", 16).card
    assert card.train_count + card.test_count == 9  # those of train/, with a hint at the official validation images
    assert any("under the name imagenet" in note for note in card.notes)
