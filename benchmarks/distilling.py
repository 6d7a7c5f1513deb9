"""Distilling students: a plain script, one student after the other, against ours over worker processes."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean, median

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks.naive import distil_one, loaders
from benchmarks.report import BenchmarkRow, convolution_rate, peak_memory_mib, reset_peak_memory, timed
from dass.config import Augmentation, DistillationRecipe, TeacherRecipe
from dass.datasets.task_data import TaskData
from dass.device import computes_bfloat16, resolve_device
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from dass.students.build import build_students
from dass.students.plan import StudentJob
from dass.training.recipes import train_teacher
from dass.training.workers import Workers, usual_count

SMALL = SearchSpace((16, 32, 64, 128), 3, (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0), "block")
PAPER = SearchSpace((32, 64, 128, 256), 5, (0.5, 0.5625, 0.625, 0.6875, 0.75, 0.8125, 0.875, 0.9375, 1.0), "stage")
GROUP = 8  # students trained side by side on a GPU
PASSES = 3  # forward, gradient of the input, gradient of the weights


@dataclass(frozen=True)
class Setting:
    """What is distilled in one row.

    Attributes:
        name: of the row.
        space: of the students.
        data: the task.
        epochs: of each student.
        students: of one round, the same on both sides.
        rounds: repetitions of both sides, each with other students.
        teacher_epochs: 0 for a random teacher, where only time is asked for.
        naive_students: of each round at most, where only time is asked for: each costs the naive way the same.
    """

    name: str
    space: SearchSpace
    data: TaskData
    epochs: int
    students: int
    rounds: int
    teacher_epochs: int = 0
    naive_students: int = 10


def run(quick: bool) -> list[BenchmarkRow]:
    """Measures `small` sizes on real digits, with the accuracies of both sides, and the paper's sizes on noise.

    Then how the cost grows with students, which share the teacher's look at the images.

    Args:
        quick: fewer students and rounds.
    """
    scale = 10 if quick else 1
    counts: tuple[int, ...]
    if resolve_device().type == "cuda":  # some hundred steps a student, as in use: recording them has its price
        small = Setting("small sizes", SMALL, digits(32), 15, GROUP if quick else 2 * GROUP, 1, 4, 5)
        paper = Setting("paper sizes", PAPER, noise(64, 300 * 64), 1, GROUP if quick else 2 * GROUP, 1, 0, 3)
        epochs, naive, counts = 8, 1, (10, 50)
    else:
        small = Setting("small sizes", SMALL, digits(32), 3, 4 if quick else 10, 1 if quick else 3, 4)
        paper = Setting("paper sizes", PAPER, noise(64, 4 * 64), 1, 2 if quick else 12, 1, 0, 12)
        epochs, naive, counts = 1, 5, (10, 50, 200)
    growth = [
        Setting(f"small sizes, epochs: {epochs}", SMALL, digits(32), epochs, students // scale, 1, 0, naive)
        for students in counts
    ]
    return [compare(setting) for setting in (small, paper, *growth)]


def compare(setting: Setting) -> BenchmarkRow:
    """Runs both sides, alternating.

    The start of the worker processes, paid once per database, is not counted; the teacher's logits, computed once
    for all students of a call, are.
    """
    device = resolve_device("auto")
    recipe = DistillationRecipe(
        epochs=setting.epochs,
        batch_size=64,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=3e-5,
        alpha=0.5,
        temperature=6.0,
        evaluations=1,
        augmentation=Augmentation(flip=False, crop_padding=setting.data.resolution // 8),
        precision="auto",
    )
    teacher = _teacher(setting, recipe, device)
    architectures = setting.space.sample(setting.students * setting.rounds, np.random.default_rng(0))
    train_loader, test_loader = loaders(setting.data, recipe)
    naive_seconds, ours_seconds, floors = [], [], []
    naive_accuracies: dict[str, float] = {}
    our_accuracies: dict[str, float] = {}
    dtype = torch.bfloat16 if computes_bfloat16(device) else torch.float32
    rate = convolution_rate(device, dtype)
    peak = 0.0

    def naive(chosen: Sequence[Architecture]) -> None:
        for architecture in chosen:
            torch.manual_seed(0)
            accuracy = distil_one(teacher, architecture, train_loader, test_loader, recipe, device)
            naive_accuracies[architecture.arch_id] = accuracy

    def ours(chosen: Sequence[Architecture]) -> None:
        jobs = [StudentJob(architecture, 0) for architecture in chosen]
        load = partial(copy.copy, setting.data)
        group = GROUP if device.type == "cuda" else 1
        for records in build_students(teacher, load, jobs, recipe, workers=workers, device=device, group=group):
            our_accuracies.update({record.arch_id: record.final_accuracy for record in records})

    count = usual_count(device)
    with Workers(count) as workers:
        reset_peak_memory()
        list(workers.run(reset_peak_memory, [()] * count))
        list(workers.run(torch.get_num_threads, [()] * count))  # imports torch
        for start in range(0, len(architectures), setting.students):
            chosen = architectures[start : start + setting.students]
            few = _representative(chosen, setting)
            naive_seconds.append(timed(partial(naive, few)) / len(few))
            teacher.cpu()
            ours_seconds.append(timed(partial(ours, chosen)) / len(chosen))
            floors.append(_operations(setting, recipe, chosen) / rate / len(chosen))
        peak = peak_memory_mib() + sum(outcome.value for outcome in workers.run(peak_memory_mib, [()] * count))
    accuracies = ""
    if setting.teacher_epochs:
        ours_of_the_same = mean(our_accuracies[name] for name in naive_accuracies)
        accuracies = (
            f", accuracy of {len(naive_accuracies)} {mean(naive_accuracies.values()):.1f} / {ours_of_the_same:.1f}"
        )
    return BenchmarkRow(
        name=f"distilling a student, {setting.name}, {len(architectures)} students{accuracies}",
        naive_seconds=median(naive_seconds),
        ours_seconds=median(ours_seconds),
        ratio=median(slow / fast for slow, fast in zip(naive_seconds, ours_seconds, strict=True)),
        floor_fraction=median(floor / fast for floor, fast in zip(floors, ours_seconds, strict=True)),
        peak_mib=peak,
        rounds=setting.rounds,
    )


def _representative(chosen: Sequence[Architecture], setting: Setting) -> list[Architecture]:
    """As many as the naive way is given, from the cheapest to the dearest."""
    by_cost = sorted(chosen, key=lambda one: cost(one, setting.data.resolution, len(setting.data.classes)).macs)
    step = max(1, len(chosen) // setting.naive_students)
    return by_cost[step // 2 :: step][: setting.naive_students]


def digits(resolution: int) -> TaskData:
    """Scikit-learn's digits enlarged: 1,400 to train and 397 to test."""
    bunch = load_digits()
    grey = torch.from_numpy(bunch.images * 15.9375)[:, None].float()
    images = torch.nn.functional.interpolate(grey, size=resolution, mode="bilinear").to(torch.uint8)
    rows = images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    labels = torch.from_numpy(bunch.target).long()
    classes = tuple(str(digit) for digit in range(10))
    return TaskData("digits", classes, rows[:1400], labels[:1400], rows[1400:], labels[1400:], "digits")


def noise(resolution: int, count: int) -> TaskData:
    """Random images of 40 classes, for timing: as many to train as to test."""
    images = torch.randint(0, 256, (count, resolution, resolution, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.arange(count) % 40
    return TaskData("noise", tuple(f"c{i:02}" for i in range(40)), images, labels, images[:64], labels[:64], "noise")


def _teacher(setting: Setting, recipe: DistillationRecipe, device: torch.device) -> ElasticResNet:
    if not setting.teacher_epochs:
        return ElasticResNet(setting.space.largest, len(setting.data.classes)).eval()
    shared = recipe.model_dump(exclude={"alpha", "temperature", "evaluations", "epochs", "augmentation"})
    teacher_recipe = TeacherRecipe(
        **shared, epochs=setting.teacher_epochs, augmentation=recipe.augmentation, label_smoothing=0.1
    )
    teacher, _ = train_teacher(setting.data, setting.space.largest, teacher_recipe, seed=0, device=device)
    return teacher.cpu()


def _operations(setting: Setting, recipe: DistillationRecipe, chosen: Sequence[Architecture]) -> float:
    """Floating-point operations that cannot be avoided: training, the teacher once for all, evaluations."""
    data = setting.data

    def macs(architecture: Architecture) -> int:
        return cost(architecture, data.resolution, len(data.classes)).macs

    images = len(data.train_labels) // recipe.batch_size * recipe.batch_size * recipe.epochs
    students = sum(macs(architecture) for architecture in chosen)
    tested = len(data.test_labels) * (1 + recipe.evaluations)  # before training too
    return 2 * (students * (PASSES * images + tested) + macs(setting.space.largest) * images)
