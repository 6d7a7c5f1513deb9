"""The user's own teacher: a checkpoint from elsewhere, checked against space and data, and measured."""

from pathlib import Path

import torch

from dass.datasets.task_data import TaskData
from dass.networks.checkpoint import TeacherCard, import_checkpoint, weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.training.evaluation import evaluate


def bring_in_teacher(
    path: Path, largest: Architecture, data: TaskData, device: torch.device
) -> tuple[ElasticResNet, TeacherCard]:
    """Reads a checkpoint as the teacher of a task and measures it on the task's test images, in float32.

    Args:
        path: `.safetensors`, or `.pt` of tensors only.
        largest: the largest architecture of the search space, which it must have.
        data: the task, on the CPU.
        device: where it is measured.

    Returns:
        The network, float32 on `device` in eval mode, and its card; recipe, seed, seconds and device stay empty,
        since nothing is known about its training.

    Raises:
        DassError: the file is missing or damaged, or its weights are not of that architecture or not finite.
        UsageError: it knows another number of classes than the task has.
    """
    network = import_checkpoint(path, largest, len(data.classes)).to(device)
    measured = evaluate(network, data.test_images.to(device), data.test_labels.to(device), "float32")
    card = TeacherCard(
        task=data.name,
        classes=data.classes,
        architecture=network.architecture,
        resolution=data.resolution,
        accuracy=measured.accuracy,
        loss=measured.loss,
        teacher_id=weights_id(network),
        data_id=data.data_id,
        train_images=len(data.train_labels),
        recipe_id="",
        seed=0,
        seconds=0.0,
        device="",
    )
    return network, card
