"""Proxies of students: a module and passes of its own for each, against shared beginnings and processes."""

from collections.abc import Callable, Sequence
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
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.predictor.embeddings import fixed_noise
from dass.proxies.collector import Collector
from dass.proxies.k_step import KStep
from dass.proxies.one_batch import IMAGES, OneBatch
from dass.proxies.store import ProxyStore
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.training.losses import distillation_loss
from dass.training.workers import Workers, usual_count

SPACE = SearchSpace((16, 32, 64, 128), 3, tuple(i / 8 for i in range(1, 9)), "block")  # preset small's
RESOLUTION, CLASSES, BATCH, STEPS = 32, 10, 64, 20
Many = Callable[[Sequence[Architecture]], object]


def run(quick: bool) -> list[BenchmarkRow]:
    """Measures the remapped start of many candidates, and k-step training of a few.

    Args:
        quick: fewer candidates and rounds.
    """
    device, rounds = resolve_device(), 1 if quick else 3
    teacher, data = ElasticResNet(SPACE.largest, CLASSES).eval(), _data()
    candidates = SPACE.sample(300 if quick else 3000, np.random.default_rng(0))
    k_step_students = candidates[:24]
    recipe = DistillationRecipe(
        epochs=1, batch_size=BATCH, learning_rate=0.05, momentum=0.9, weight_decay=3e-5, alpha=0.5, temperature=6.0,
        evaluations=1, augmentation=Augmentation(flip=True, crop_padding=4), precision="auto",
    )  # fmt: skip
    rate = convolution_rate(device, torch.bfloat16 if computes_bfloat16(device) else torch.float32)
    count = usual_count(device)
    with Workers(count) as workers:
        collector = Collector(
            teacher, data, fixed_noise(RESOLUTION, 0), recipe, workers=workers, store=ProxyStore(None), device=device
        )
        list(workers.run(torch.get_num_threads, [()] * count))  # starts the processes, imports torch

        def compare(
            name: str, naive: Many, few: int, ours: Many, architectures: Sequence[Architecture], work: int
        ) -> BenchmarkRow:
            """Runs both sides, alternating; the naive one on a few of the candidates, as each costs it the same."""
            reset_peak_memory()
            list(workers.run(reset_peak_memory, [()] * count))
            slow, fast = [], []
            for start in range(rounds):
                some = architectures[start::rounds][:few]
                slow.append(timed(partial(naive, some)) / len(some))
                fast.append(timed(partial(ours, architectures)) / len(architectures))
            return BenchmarkRow(
                name=f"{name}, {RESOLUTION}x{RESOLUTION}",
                naive_seconds=median(slow),
                ours_seconds=median(fast),
                ratio=median(one / other for one, other in zip(slow, fast, strict=True)),
                floor_fraction=work / rate / len(architectures) / median(fast),
                peak_mib=peak_memory_mib() + sum(one.value for one in workers.run(peak_memory_mib, [()] * count)),
                rounds=rounds,
            )

        return [
            compare(
                f"start of 1 of {len(candidates)} students on {IMAGES} images",
                partial(naive_one_batch, teacher, data), 20, partial(collector.measure, OneBatch()), candidates,
                IMAGES * operations(candidates, RESOLUTION),
            ),
            compare(
                f"{STEPS} steps of 1 of {len(k_step_students)} students", partial(naive_k_step, teacher, data), 4,
                partial(collector.measure, KStep(STEPS)), k_step_students,
                3 * BATCH * STEPS * sum(operations([one], RESOLUTION) for one in k_step_students),
            ),
        ]  # fmt: skip


@torch.no_grad()
def naive_one_batch(teacher: ElasticResNet, data: TaskData, architectures: Sequence[Architecture]) -> list[float]:
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


def naive_k_step(teacher: ElasticResNet, data: TaskData, architectures: Sequence[Architecture]) -> list[float]:
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
