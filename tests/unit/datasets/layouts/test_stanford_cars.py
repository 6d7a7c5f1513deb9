import io

import numpy as np
import pytest
import scipy.io

from dass.datasets.archives.opening import open_archive
from dass.datasets.layouts.stanford_cars import read_stanford_cars
from dass.errors import DassError

CARS = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012"]


def _mat(**variables):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables)
    return buffer.getvalue()


def _annotations(classes):
    kinds = [(name, object) for name in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")]
    rows = [(1, 1, 5, 5, number, f"{position:05}.jpg") for position, number in enumerate(classes, 1)]
    return _mat(annotations=np.array(rows, dtype=kinds).reshape(1, -1))


@pytest.fixture
def files(image_bytes):
    train, test = [1, 2, 3, 2, 1, 3], [3, 1, 2]
    images = {
        f"stanford_cars/cars_{part}/{number:05}.jpg": image_bytes(number, kind="JPEG")
        for part, classes in (("train", train), ("test", test))
        for number in range(1, len(classes) + 1)
    }
    return images | {
        "stanford_cars/devkit/cars_meta.mat": _mat(class_names=np.array(CARS, dtype=object).reshape(1, -1)),
        "stanford_cars/devkit/cars_train_annos.mat": _annotations(train),
        "stanford_cars/cars_test_annos_withlabels.mat": _annotations(test),
    }


def test_official_split_as_torchvision_reads_it(files, put_folder, tmp_path):
    from torchvision.datasets import StanfordCars  # takes seconds to import

    with open_archive(put_folder(files)) as archive:
        listing = read_stanford_cars(archive)
    assert listing.classes == tuple(CARS)
    for split, entries in (("train", listing.train), ("test", listing.test)):
        theirs = StanfordCars(str(tmp_path / "set"), split=split)
        samples = sorted((path.split("/stanford_cars/")[-1], label) for path, label in theirs._samples)
        assert sorted((entry.name.removeprefix("stanford_cars/"), entry.label) for entry in entries) == samples


def test_labels_of_the_test_part_may_lie_in_the_devkit(files, put_zip):
    files["stanford_cars/devkit/cars_test_annos_withlabels.mat"] = files.pop(
        "stanford_cars/cars_test_annos_withlabels.mat"
    )
    with open_archive(put_zip(files)) as archive:
        assert [entry.label for entry in read_stanford_cars(archive).test] == [2, 0, 1]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("devkit/cars_meta.mat", b"garbage", "no readable 'class_names'"),
        ("devkit/cars_train_annos.mat", _mat(other=1), "no readable 'annotations'"),
        ("devkit/cars_train_annos.mat", _mat(annotations=np.arange(3)), "no class and file name"),
        ("devkit/cars_train_annos.mat", _annotations([1, 2, 3, 4]), "outside 1..3"),
        ("cars_test_annos_withlabels.mat", None, "has no cars_test_annos_withlabels.mat"),
    ],
)
def test_damage(files, put_zip, name, data, message):
    files[f"stanford_cars/{name}"] = data
    left = {key: value for key, value in files.items() if value is not None}
    with open_archive(put_zip(left)) as archive, pytest.raises(DassError, match=message):
        read_stanford_cars(archive)


def test_each_folder_wrapped_as_on_kaggle(files, put_zip):
    with open_archive(put_zip(files)) as archive:
        official = read_stanford_cars(archive)
        images = [official.read(entry.name) for entry in (*official.train, *official.test)]
    wraps = {"cars_train/": "cars_train/", "cars_test/": "cars_test/", "devkit/": "car_devkit/"}
    wrapped = {}
    for name, data in files.items():
        inside = name.removeprefix("stanford_cars/")
        wrapped[next((wrap for start, wrap in wraps.items() if inside.startswith(start)), "") + inside] = data
    with open_archive(put_zip(wrapped)) as archive:
        listing = read_stanford_cars(archive)
        assert [listing.read(entry.name) for entry in (*listing.train, *listing.test)] == images
        assert [entry.label for entry in listing.test] == [entry.label for entry in official.test]
    del wrapped["cars_train/cars_train/00002.jpg"]
    with open_archive(put_zip(wrapped)) as archive, pytest.raises(DassError, match=r"cars_train/00002\.jpg"):
        read_stanford_cars(archive)
