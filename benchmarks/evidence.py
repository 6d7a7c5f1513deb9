"""Evidence about students: a module and passes of its own for each, against shared beginnings and processes."""

from collections.abc import Sequence
from functools import partial
from statistics import median

import numpy as np
import torch

from benchmarks.report import BenchmarkRow, convolution_rate, peak_memory_mib, reset_peak_memory, timed
from benchmarks.scoring import operations
from dass.config import Augmentation, DistillationRecipe
from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.device import computes_bfloat16, resolve_device
from dass.evidence.collector import Collector
from dass.evidence.recalibrated import IMAGES
from dass.evidence.sprint import columns
from dass.evidence.store import EvidenceStore
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.predictor.embeddings import fixed_noise
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.training.losses import distillation_loss
from dass.training.workers import Workers, usual_count

SPACE = SearchSpace((16, 32, 64, 128), 3, tuple(i / 8 for i in range(1, 9)), "block")  # preset small's
RESOLUTION, CLASSES, BATCH, STEPS = 32, 10, 64, 20


def run(quick: bool) -> list[BenchmarkRow]:
    """Measures the remapped start of many candidates, and sprints of a few.

    Args:
        quick: fewer candidates.
    """
    device = resolve_device()
    teacher, data = ElasticResNet(SPACE.largest, CLASSES).eval(), _data()
    candidates = SPACE.sample(300 if quick else 3000, np.random.default_rng(0))
    recipe = DistillationRecipe(
        epochs=1, batch_size=BATCH, learning_rate=0.05, momentum=0.9, weight_decay=3e-5, alpha=0.5, temperature=6.0,
        evaluations=1, augmentation=Augmentation(flip=True, crop_padding=4), precision="auto",
    )  # fmt: skip
    count = usual_count(device)
    with Workers(count) as workers:
        collector = partial(
            Collector, teacher, data, fixed_noise(RESOLUTION, 0), recipe, workers=workers, store=EvidenceStore(None),
            device=device,
        )  # fmt: skip
        collector().recalibrated(candidates[:count])  # starts the processes
        return [_starts(collector(), teacher, data, candidates), _sprints(collector(), teacher, data, candidates[:24])]


def _starts(
    collector: Collector, teacher: ElasticResNet, data: TaskData, candidates: Sequence[Architecture]
) -> BenchmarkRow:
    reset_peak_memory()
    few = candidates[:: len(candidates) // 20]
    slow = [timed(partial(naive_starts, teacher, data, few)) / len(few) for _ in range(2)]
    fast = timed(partial(collector.recalibrated, candidates)) / len(candidates)
    dtype = torch.bfloat16 if computes_bfloat16(resolve_device()) else torch.float32
    floor = IMAGES * operations(candidates, RESOLUTION) / convolution_rate(resolve_device(), dtype) / len(candidates)
    name = f"start of 1 of {len(candidates)} students on {IMAGES} images, {RESOLUTION}x{RESOLUTION}"
    return BenchmarkRow(name, median(slow), fast, median(slow) / fast, floor / fast, peak_memory_mib())


def _sprints(
    collector: Collector, teacher: ElasticResNet, data: TaskData, candidates: Sequence[Architecture]
) -> BenchmarkRow:
    reset_peak_memory()
    slow = timed(partial(naive_sprints, teacher, data, candidates[:4])) / 4
    fast = timed(partial(collector.sprint, candidates, STEPS)) / len(candidates)
    dtype = torch.bfloat16 if computes_bfloat16(resolve_device()) else torch.float32
    work = 3 * BATCH * STEPS * sum(operations([one], RESOLUTION) for one in candidates)
    floor = work / convolution_rate(resolve_device(), dtype) / len(candidates)
    name = f"sprint of {STEPS} steps of 1 of {len(candidates)} students, {RESOLUTION}x{RESOLUTION}"
    assert len(columns(STEPS)) == 9
    return BenchmarkRow(name, slow, fast, slow / fast, floor / fast, peak_memory_mib())


@torch.no_grad()
def naive_starts(teacher: ElasticResNet, data: TaskData, architectures: Sequence[Architecture]) -> list[float]:
    """Agreement with the teacher, one student after the other: its module, a pass for statistics, a pass to see."""
    device = resolve_device()
    images = normalize(data.train_images[:IMAGES].to(device))
    network = teacher.to(device)
    found = []
    for architecture in architectures:
        student = remap(network, architecture).train()
        student(images)
        predicted = student.eval()(images).argmax(1)
        found.append((predicted == network(images).argmax(1)).float().mean().item())
    teacher.cpu()
    return found


def naive_sprints(teacher: ElasticResNet, data: TaskData, architectures: Sequence[Architecture]) -> list[float]:
    """The first steps of distillation, one student after the other, the teacher looking at each batch again."""
    device = resolve_device()
    network = teacher.to(device)
    found = []
    for architecture in architectures:
        student = remap(network, architecture).train()
        optimizer = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9, nesterov=True)
        loss = torch.zeros(())
        for step in range(STEPS):
            images = normalize(data.train_images[step * BATCH : (step + 1) * BATCH].to(device))
            labels = data.train_labels[step * BATCH : (step + 1) * BATCH].to(device)
            with torch.no_grad():
                soft = network(images)
            loss = distillation_loss(student(images), labels, soft, 0.5, 6.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found.append(loss.item())
    teacher.cpu()
    return found


def _data() -> TaskData:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(256, size=(4000, RESOLUTION, RESOLUTION, 3), dtype=np.uint8))
    labels = torch.arange(len(images)) % CLASSES
    pictures, names = images.permute(0, 3, 1, 2), tuple(map(str, range(CLASSES)))
    return TaskData("noise", names, pictures, labels, pictures[:0], labels[:0], "0" * 12)
