"""A small task with distilled students, from which a predictor's correlation is computed again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dass.cards import CardFormat, load_tensors, save_tensors
from dass.config import DistillationRecipe
from dass.datasets.packed import as_tensor
from dass.datasets.task_data import TaskData
from dass.files import content_id
from dass.networks.checkpoint import load_teacher, save_teacher
from dass.space.architecture import ArchitectureField
from dass.tasks.task import Task

TEACHER, IMAGES, STUDENTS = "teacher.safetensors", "images.safetensors", "students.json"


@dataclass(frozen=True, eq=False, kw_only=True)
class Fixture(Task):
    """A task with distilled students; of one that was read from a release, `data` has no test images.

    Attributes:
        recipe: recipe of the students' distillation.
    """

    recipe: DistillationRecipe


@dataclass(frozen=True)
class _Students:
    """What `students.json` holds.

    Attributes:
        images: SHA-256 of the file of images.
        test_images: number of test images that an accuracy is over.
        recipe: recipe of the students' distillation.
        architectures: architectures of the n students.
        accuracies: accuracies of the n students on the test images, in percent (0..100).
    """

    images: str
    test_images: int
    recipe: DistillationRecipe
    architectures: tuple[ArchitectureField, ...]
    accuracies: tuple[float, ...]


_FORMAT = CardFormat(_Students, "the students of a fixture", "install DaSS again")


def write_fixture(folder: Path, fixture: Fixture) -> None:
    """Writes a fixture; `students.json` last, without which the folder is none.

    Raises:
        DassError: it cannot be written.
    """
    save_teacher(folder / TEACHER, fixture.teacher, fixture.card)
    images = fixture.data.train_images.permute(0, 2, 3, 1).contiguous().numpy()
    digest = save_tensors(folder / IMAGES, {"images": images, "labels": fixture.data.train_labels.numpy()})
    students = _Students(digest, fixture.test_images, fixture.recipe, fixture.architectures, fixture.accuracies)
    _FORMAT.write(folder / STUDENTS, students)


def read_fixture(folder: Path) -> Fixture:
    """Reads a fixture.

    Raises:
        DassError: a file is missing or damaged.
    """
    students = _FORMAT.read(folder / STUDENTS)
    teacher, card = load_teacher(folder / TEACHER)
    arrays = load_tensors(folder / IMAGES, students.images, _FORMAT.remedy)
    images = as_tensor(arrays["images"])
    none = images[:0], torch.zeros(0, dtype=torch.int64)
    return Fixture(
        teacher=teacher,
        card=card,
        data=TaskData(
            card.task, card.classes, images, torch.from_numpy(arrays["labels"].astype(np.int64)), *none,
            data_id=content_id([card.data_id, students.images]),
        ),
        left_out=students.test_images,
        recipe=students.recipe,
        architectures=students.architectures,
        accuracies=students.accuracies,
    )  # fmt: skip
