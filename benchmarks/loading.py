"""Loading and augmenting one epoch: PIL images one by one against whole batches on the device."""

from statistics import median

import torch

from benchmarks.distilling import noise
from benchmarks.naive import PilImages
from benchmarks.report import BenchmarkRow, memory_bandwidth, peak_memory_mib, reset_peak_memory, timed
from dass.config import Augmentation, DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.device import computes_bfloat16, resolve_device
from dass.training.batches import epoch_batches


def run(quick: bool) -> list[BenchmarkRow]:
    """Measures an epoch at 32x32 and at 64x64.

    Args:
        quick: fewer images and rounds.
    """
    return [compare(resolution, 2_000 if quick else 10_000, 1 if quick else 5) for resolution in (32, 64)]


def compare(resolution: int, count: int, rounds: int) -> BenchmarkRow:
    """Runs both sides over `count` images, alternating; flip and padded crop on both."""
    device = resolve_device("auto")
    precision = "bfloat16" if computes_bfloat16(device) else "float32"
    recipe = DistillationRecipe(
        epochs=1,
        batch_size=64,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=0.0,
        alpha=0.5,
        temperature=6.0,
        evaluations=1,
        augmentation=Augmentation(flip=True, crop_padding=resolution // 8),
        precision="auto",
    )
    data = noise(resolution, count)
    images = PilImages(data.train_images, data.train_labels, recipe.augmentation)
    loader = torch.utils.data.DataLoader(images, recipe.batch_size, shuffle=True, drop_last=True)
    resident = data.to(device)
    reset_peak_memory()

    def naive() -> None:
        for batch, _ in loader:
            batch.to(device)

    def ours() -> None:
        for _ in epoch_batches(resident, recipe, 0, 0, precision):
            pass

    ours()  # first-use costs
    pairs = [(timed(naive), timed(ours)) for _ in range(rounds)]
    slow, fast = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    peak = peak_memory_mib()
    used = count // recipe.batch_size * recipe.batch_size
    floor = _bytes_moved(data, used) / memory_bandwidth(device)
    return BenchmarkRow(
        name=f"loading an epoch, {resolution}x{resolution}, ours {used / fast:,.0f} images/s",
        naive_seconds=slow,
        ours_seconds=fast,
        ratio=median(pair[0] / pair[1] for pair in pairs),
        floor_fraction=floor / fast,
        peak_mib=peak,
        rounds=rounds,
    )


def _bytes_moved(data: TaskData, count: int) -> int:
    """Each image read once as uint8 and written once in two bytes a value."""
    return 3 * count * data.train_images[0].numel()
