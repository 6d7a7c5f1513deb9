import pytest

from dass.datasets.archives.opening import open_archive
from dass.datasets.importing import import_dataset
from dass.datasets.layouts.tiny_imagenet import read_tiny_imagenet
from dass.datasets.packing import pack
from dass.errors import DassError


@pytest.fixture
def files(image_bytes):
    """The official layout, three classes of four images and two validation images each."""
    wnids = ("n03000000", "n01000000", "n02000000")
    made = {
        "tiny-imagenet-200/wnids.txt": "\n".join(wnids).encode(),
        "tiny-imagenet-200/words.txt": b"n01000000\tcrane, bird\nn02000000\tcrane\nn03000000\tcat, felis\nn09\tdog\n",
        "tiny-imagenet-200/test/images/test_0.JPEG": image_bytes(kind="JPEG"),
    }
    annotations = []
    for label, wnid in enumerate(wnids):
        boxes = "".join(f"{wnid}_{number}.JPEG\t0\t1\t2\t3\n" for number in range(4))
        made[f"tiny-imagenet-200/train/{wnid}/{wnid}_boxes.txt"] = boxes.encode()
        for number in range(4):
            name = f"tiny-imagenet-200/train/{wnid}/images/{wnid}_{number}.JPEG"
            made[name] = image_bytes(label * 10 + number, (64, 64), "L" if number == 3 else "RGB", "JPEG")
        for number in range(2):
            name = f"val_{2 * label + number}.JPEG"
            made[f"tiny-imagenet-200/val/images/{name}"] = image_bytes(100 + label * 10 + number, (64, 64), kind="JPEG")
            annotations.append(f"{name}\t{wnid}\t0\t32\t44\t62\n")
    made["tiny-imagenet-200/val/val_annotations.txt"] = "".join(annotations).encode()
    return made


def test_folder_and_zip_pack_to_the_same(files, put_folder, put_zip, tmp_path):
    packed = []
    for number, path in enumerate((put_folder(files), put_zip(files))):
        with open_archive(path) as archive:
            listing = read_tiny_imagenet(archive)
            packed.append(pack(listing, tmp_path / str(number), "tiny-imagenet", 32, source="x"))
    assert packed[0].card == packed[1].card
    assert packed[0].card.classes == ("n01000000 crane", "n02000000 crane", "n03000000 cat")
    assert packed[0].train_labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert packed[0].test_labels.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("name", ["wnids.txt", "words.txt", "val/val_annotations.txt"])
def test_a_missing_file_is_named(files, put_zip, name):
    del files[f"tiny-imagenet-200/{name}"]
    with open_archive(put_zip(files)) as archive, pytest.raises(DassError, match=f"has no (file )?{name}"):
        read_tiny_imagenet(archive)


def test_an_annotation_of_an_unknown_class(files, put_zip):
    files["tiny-imagenet-200/val/val_annotations.txt"] += b"val_9.JPEG\n"
    with open_archive(put_zip(files)) as archive, pytest.raises(DassError, match=r"val_9\.JPEG"):
        read_tiny_imagenet(archive)


def test_a_class_without_training_images(files, put_zip):
    left = {name: data for name, data in files.items() if "train/n02" not in name}
    with open_archive(put_zip(left)) as archive, pytest.raises(DassError, match="'n02000000 crane' has no train"):
        read_tiny_imagenet(archive)


@pytest.mark.parametrize("inner", ["", "images/"])
@pytest.mark.parametrize("with_table", [True, False])
def test_validation_images_in_class_folders(files, put_zip, inner, with_table):
    """As mirrors have them, with or without the table, which then names places that are not there."""
    with open_archive(put_zip(files)) as archive:
        official = read_tiny_imagenet(archive)
    table = "tiny-imagenet-200/val/val_annotations.txt"
    for line in files[table].decode().splitlines():
        name, wnid = line.split("\t")[:2]
        image = files.pop(f"tiny-imagenet-200/val/images/{name}")
        files[f"tiny-imagenet-200/val/{wnid}/{inner}{name}"] = image
    if not with_table:
        del files[table]
    with open_archive(put_zip(files)) as archive:
        listing = read_tiny_imagenet(archive)
        assert listing.classes == official.classes
        assert sorted(entry.label for entry in listing.test) == [0, 0, 1, 1, 2, 2]
        names = {(entry.label, entry.name.rsplit("/", 1)[-1]) for entry in listing.test}
        assert names == {(entry.label, entry.name.rsplit("/", 1)[-1]) for entry in official.test}


def test_what_is_not_used_is_counted(files, put_zip, tmp_path):
    card = import_dataset("tiny-imagenet", put_zip(files), tmp_path / "raw", 16).card
    assert card.passed_over == {".jpeg": 1, ".txt": 6}
