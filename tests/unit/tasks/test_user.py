from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dass.datasets.importing import import_dataset
from dass.errors import DassError, UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.search_space import SearchSpace
from dass.tasks.task import Task
from dass.tasks.user import open_task, open_user_data, task_name
from dass.training.user_teacher import TeacherFile

SPACE = SearchSpace((4, 6, 8, 10), 2, (0.5, 1.0), "block")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two classes, packed at 16 and not, and a teacher that always says "dog"."""
    folder = tmp_path_factory.mktemp("made")
    for index, name in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        (folder / "My Pets" / name).mkdir(parents=True)
        for number in range(3 + (name == "test/dog")):
            pixels = np.random.default_rng([index, number]).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "My Pets" / name / f"{number}.png")
    import_dataset("pets", folder / "My Pets", folder / "raw", 16)
    network = ElasticResNet(SPACE.largest, 2)
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.tensor([0.0, 1.0]))
    save_file(network.state_dict(), folder / "teacher.safetensors")
    return folder


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("My Pets", "my-pets"), ("a/flowers.tar.gz", "flowers"), ("X.ZIP", "x"), ("digits", "my-digits"),
        ("(!)", "images"), ("dtd.zip", "dtd"), ("v" * 80, "v" * 50),
    ],
)  # fmt: skip
def test_a_task_is_named_after_its_path(path: str, name: str) -> None:
    assert task_name(Path(path)) == name


def test_dataset_and_teacher_are_measured(folder: Path) -> None:
    packed = folder / "raw" / "pets-16"
    for dataset, name, place in (
        ("pets", "pets", packed),
        (str(packed), "pets", packed),
        (str(folder / "My Pets"), "my-pets", None),
    ):
        with _open(folder, dataset) as task:
            assert (task.data.name, task.data.classes) == (name, ("cat", "dog"))
            assert task.card.accuracy == pytest.approx(100 * 4 / 7)
            assert task.card.data_id == task.data.data_id
            assert task.packed == place
            assert (task.name, task.teacher_accuracy, task.card.resolution) == (name, task.card.accuracy, 16)


def test_what_is_not_there_is_named_before_any_work(folder: Path) -> None:
    with pytest.raises(UsageError, match="no checkpoint at"), _open(folder, "nowhere", teacher="none.pt"):
        pass
    with pytest.raises(UsageError, match="neither a packed dataset"), _open(folder, "nowhere"):
        pass
    packed = str(folder / "raw" / "pets-16")
    with (
        pytest.raises(UsageError, match="packed at 16 pixels"),
        open_user_data(packed, folder / "raw", 24),
    ):
        pass


@pytest.mark.parametrize(
    ("dataset", "teacher"),
    [("pets", "t" * 300), ("d" * 300, "teacher.safetensors"), ("pets", "."), ("pets", "/etc"), ("a/" * 3000, ".")],
    ids=lambda name: name[:8],
)
def test_paths_that_nothing_can_be_at(dataset: str, teacher: str, folder: Path) -> None:
    with pytest.raises(UsageError), _open(folder, dataset, teacher=teacher):
        pass


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", b"<html>", b"", b"root:x:0:0\n"])
def test_what_is_no_checkpoint_is_named_before_images_are_packed(content: bytes, folder: Path) -> None:
    (folder / "junk.pt").write_bytes(content)
    with pytest.raises(DassError, match=r"junk\.pt"), _open(folder, "nowhere", teacher="junk.pt"):
        pass


def test_a_teacher_of_another_size_is_refused(folder: Path) -> None:
    save_file(ElasticResNet(SPACE.largest, 3).state_dict(), folder / "three.safetensors")
    with pytest.raises(UsageError, match="3 outputs"), _open(folder, "pets", teacher="three.safetensors"):
        pass


def _open(folder: Path, dataset: str, teacher: str = "teacher.safetensors") -> AbstractContextManager[Task]:
    given = TeacherFile(folder / teacher, expect_accuracy=50)
    return open_task(dataset, given, raw=folder / "raw", resolution=16, largest=SPACE.largest, device=CPU)
