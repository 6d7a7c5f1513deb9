"""A small task with distilled students, from which a predictor's correlation is computed again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save

from dass.config import DistillationRecipe
from dass.datasets.packed import as_tensor
from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.files import content_id, file_sha256, write_bytes
from dass.networks.checkpoint import load_teacher, save_teacher
from dass.sealed import read_sealed, write_sealed
from dass.space.architecture import Architecture
from dass.tasks.task import Task

TEACHER, IMAGES, STUDENTS = "teacher.safetensors", "images.safetensors", "students.json"


@dataclass(frozen=True, eq=False, kw_only=True)
class Fixture(Task):
    """A task with distilled students; of one that was read from a release, `data` has no test images.

    Attributes:
        recipe: recipe of the students' distillation.
    """

    recipe: DistillationRecipe


def write_fixture(folder: Path, fixture: Fixture) -> None:
    """Writes a fixture; `students.json` last, without which the folder is none.

    Raises:
        DassError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_teacher(folder / TEACHER, fixture.teacher, fixture.card)
    images = fixture.data.train_images.permute(0, 2, 3, 1).contiguous().numpy()
    write_bytes(folder / IMAGES, save({"images": images, "labels": fixture.data.train_labels.numpy()}))
    write_sealed(
        folder / STUDENTS,
        {
            "images": file_sha256(folder / IMAGES),
            "test_images": fixture.test_images,
            "recipe": fixture.recipe.model_dump(mode="json"),
            "architectures": [one.to_json() for one in fixture.architectures],
            "accuracies": list(fixture.accuracies),
        },
    )


def read_fixture(folder: Path) -> Fixture:
    """Reads a fixture.

    Raises:
        DassError: a file is missing or damaged.
    """
    facts = read_sealed(folder / STUDENTS, "install DaSS again")
    if file_sha256(folder / IMAGES) != facts["images"]:
        raise DassError(f"{folder / IMAGES} is not the file that {STUDENTS} describes (hash): install DaSS again")
    teacher, card = load_teacher(folder / TEACHER)
    arrays = load_file(folder / IMAGES)
    images = as_tensor(arrays["images"])
    none = images[:0], torch.zeros(0, dtype=torch.int64)
    return Fixture(
        teacher=teacher,
        card=card,
        data=TaskData(
            card.task, card.classes, images, torch.from_numpy(arrays["labels"].astype(np.int64)), *none,
            data_id=content_id([card.data_id, facts["images"]]),
        ),
        left_out=int(facts["test_images"]),
        recipe=DistillationRecipe.model_validate(facts["recipe"]),
        architectures=tuple(Architecture.from_json(one) for one in facts["architectures"]),
        accuracies=tuple(facts["accuracies"]),
    )  # fmt: skip
