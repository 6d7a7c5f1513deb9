"""Students of other people's teachers: a module of its own for each, against shared beginnings."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmarks.proxies import naive_one_batch
from benchmarks.report import BenchmarkRow, convolution_rate, peak_memory_mib, reset_peak_memory, timed
from benchmarks.scoring import operations
from dass.datasets.task_data import TaskData
from dass.device import resolve_device
from dass.families.cifar_resnet import CifarResNet
from dass.families.torchvision_resnet import TorchvisionResNet
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.predictor.embeddings import embed, fixed_noise
from dass.proxies.one_batch import IMAGES, one_batch_rows
from dass.space.architecture import Architecture
from dass.space.search_space import RATIOS, SearchSpace

CLASSES = 10
TEACHERS = {
    "ResNet-56": (CifarResNet.networks()["resnet56"], 32),
    "resnet18": (TorchvisionResNet.networks()["resnet18"], 64),
    "resnet50": (TorchvisionResNet.networks()["resnet50"], 64),
}
Many = Callable[[Sequence[Architecture]], object]


def run(quick: bool) -> list[BenchmarkRow]:
    """Measures embeddings of many students in float32, and one batch through some in the precision of the device.

    Args:
        quick: fewer students and rounds, one teacher.
    """
    rows = []
    for name in list(TEACHERS)[: 1 if quick else None]:
        (family, widths), resolution = TEACHERS[name]
        space = SearchSpace.below(Architecture(widths, family), RATIOS, "block")
        teacher = ElasticResNet(space.largest, CLASSES).eval().to(resolve_device())
        students = space.sample(100 if quick else 1000, np.random.default_rng(0))
        rows += _compare(name, teacher, students, resolution, rounds=1 if quick else 3)
    return rows


def _compare(
    name: str, teacher: ElasticResNet, students: Sequence[Architecture], resolution: int, rounds: int
) -> list[BenchmarkRow]:
    device = resolve_device()
    noise, data = fixed_noise(resolution, 0).to(device), _data(resolution)
    some = students[: len(students) // 5]

    def one_batch(architectures: Sequence[Architecture]) -> object:
        return one_batch_rows(teacher, architectures, data, alpha=0.5, temperature=6.0, precision="auto")

    def row(what: str, slow: Many, fast: Many, architectures: Sequence[Architecture], images: int) -> BenchmarkRow:
        """Runs both sides, alternating; the naive one on a few of the students, as each costs it the same."""
        reset_peak_memory()
        fast(architectures[:4])  # first-use costs
        naive, ours = [], []
        for start in range(rounds):
            few = architectures[start::rounds][:10]
            naive.append(timed(partial(slow, few)) / len(few))
            ours.append(timed(partial(fast, architectures)) / len(architectures))
        work = images * operations(architectures, resolution) / convolution_rate(device, torch.float32)
        return BenchmarkRow(
            name=f"{name} at {resolution}x{resolution}: {what} of 1 of {len(architectures)} students",
            naive_seconds=median(naive),
            ours_seconds=median(ours),
            ratio=median(one / other for one, other in zip(naive, ours, strict=True)),
            floor_fraction=work / len(architectures) / median(ours),
            peak_mib=peak_memory_mib(),
            rounds=rounds,
        )

    return [
        row("embedding", partial(naive_embeddings, teacher, noise), partial(_embed, teacher, noise), students, 1),
        row(f"one batch of {IMAGES} images", partial(naive_one_batch, teacher, data), one_batch, some, IMAGES),
    ]


@torch.no_grad()
def naive_embeddings(teacher: ElasticResNet, noise: Tensor, architectures: Sequence[Architecture]) -> list[Tensor]:
    """One student after the other: its module, copied slices, a forward pass."""
    return [remap(teacher, architecture).features(noise) for architecture in architectures]


def _embed(teacher: ElasticResNet, noise: Tensor, architectures: Sequence[Architecture]) -> list[Tensor]:
    return [part.embeddings.mean((2, 3)) for part in embed(teacher, architectures, noise)]


def _data(resolution: int) -> TaskData:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(256, size=(2 * IMAGES, resolution, resolution, 3), dtype=np.uint8))
    pictures, labels = images.permute(0, 3, 1, 2), torch.arange(len(images)) % CLASSES
    return TaskData("noise", tuple(map(str, range(CLASSES))), pictures, labels, pictures[:0], labels[:0], "0" * 12)
