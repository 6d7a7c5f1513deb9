"""One student, distilled into a file."""

from pathlib import Path

import torch

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.students.build import student_record
from dass.students.record import StudentRecord
from dass.students.task_key import task_key
from dass.students.trained import TrainedStudent, save_student
from dass.training.loop import Progress
from dass.training.recipes import distill


def distil_student(
    teacher: ElasticResNet,
    architecture: Architecture,
    data: TaskData,
    recipe: DistillationRecipe,
    path: Path,
    *,
    seed: int,
    device: torch.device,
    progress: Progress | None = None,
) -> StudentRecord:
    """Distils one student and keeps its weights, with what it reached beside them.

    Args:
        teacher: network of the teacher.
        architecture: architecture of the student.
        data: images and labels of the task.
        recipe: recipe of the distillation.
        path: path of the weights, which end in `.safetensors`.
        seed: random seed of batch order and augmentation.
        device: device of the training.
        progress: called with steps done and in all.

    Raises:
        UsageError: the architecture does not fit the teacher, or there are fewer training images than one batch.
        DassError: training diverged; nothing is written.
    """
    [result] = distill(teacher, [architecture], data, recipe, seed=seed, device=device, progress=progress)
    record = student_record(result, task_key(data, teacher, recipe, device), data, device)
    save_student(path, result.network, TrainedStudent.of(record, len(data.classes)))
    return record
