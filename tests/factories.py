"""Makes teachers, their cards and student records for tests; each test says only what matters to it."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from dass.datasets.task_data import TaskData
from dass.networks.checkpoint import TeacherCard, weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.students.record import StudentRecord
from tests.samples import SPACE

CARD = TeacherCard(
    task="pets",
    classes=("a", "b", "c"),
    architecture=SPACE.largest,
    resolution=16,
    accuracy=80.0,
    loss=1.0,
    teacher_id="a" * 12,
    data_id="d" * 12,
    train_images=100,
    recipe_id="e" * 12,
    seed=0,
    seconds=1.5,
    device="cpu",
)
RECORD = StudentRecord(
    task="split0",
    arch_id="",
    architecture=SPACE.largest,
    seed=0,
    recipe_id="e" * 12,
    teacher_id="a" * 12,
    data_id="d" * 12,
    init_accuracy=2.5,
    best_accuracy=40.0,
    final_accuracy=39.5,
    final_loss=1.75,
    kd_loss_at_start=90.25,
    macs=1_000_000,
    params=70_000,
    seconds=6.5,
    device="cpu",
    torch_version="2.14.1",
    finished_at="2026-01-02T03:04:05+00:00",
    failure="",
)


def make_teacher(architecture: Architecture = SPACE.largest, classes: int = 3, seed: int = 0) -> ElasticResNet:
    """An untrained network in eval mode, always the same for the same arguments."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ElasticResNet(architecture, classes).eval()


def make_card(**changes: Any) -> TeacherCard:
    """The card of a teacher that is the largest of `SPACE`, with changes."""
    return replace(CARD, **changes)


def teacher_card(teacher: ElasticResNet, data: TaskData, accuracy: float, *, loss: float = 1.0) -> TeacherCard:
    """The card of a network that was trained in a test."""
    return make_card(
        task=data.name, classes=data.classes, architecture=teacher.architecture, resolution=data.resolution,
        accuracy=accuracy, loss=loss, teacher_id=weights_id(teacher), data_id=data.data_id,
        train_images=len(data.train_labels),
    )  # fmt: skip


def make_record(architecture: Architecture = SPACE.largest, **changes: Any) -> StudentRecord:
    """The record of a student of a source task, with changes."""
    own = {"arch_id": architecture.arch_id, "architecture": architecture}
    return replace(RECORD, **(own | changes))


def torchvision_network(name: str, **settings: int) -> nn.Module:
    """An untrained network of torchvision, which takes seconds to import: not for a process that only collects."""
    from torchvision.models import get_model

    network: nn.Module = get_model(name, weights=None, **settings)
    return network
