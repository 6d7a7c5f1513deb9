"""Limits that MACs and parameters do not tell: the size of the weights' file, and latency on a device.

Latency is estimated for thousands of candidates as their blocks' times add up, and measured for the one that is picked:
what is too slow then gives way to the next.
"""

import statistics
from collections.abc import Sequence

import torch

from dass.device import timed_on
from dass.search.constraints import MILLION, Constraints
from dass.search.latency import LatencyTable, measure_latency, measure_parts
from dass.space.architecture import Architecture
from dass.space.cost import cost, weights_size

TRIED = 3  # whole networks that say by which factor the sum of block times is off


class Fitting:
    """Tells which architectures keep the limits on size and latency.

    Args:
        constraints: limits on the cost.
        resolution: side of the task's images in pixels.
        classes: number of classes of the task.
        device: device that students will run on.
    """

    def __init__(self, constraints: Constraints, *, resolution: int, classes: int, device: torch.device) -> None:
        self._constraints = constraints
        self._resolution = resolution
        self._classes = classes
        self._device = device
        self._parts: LatencyTable | None = None
        self._factor = 1.0
        self._smallest: float | None = None  # megabytes
        self._fastest: float | None = None  # milliseconds

    def __call__(self, architectures: Sequence[Architecture]) -> list[bool]:
        """Whether each keeps both limits; latency as estimated."""
        constraints = self._constraints
        passes = [True] * len(architectures)
        if constraints.max_size is not None and architectures:
            sizes = [weights_size(one, self._classes) / MILLION for one in architectures]
            passes = [size <= constraints.max_size for size in sizes]
            self._smallest = min(sizes) if self._smallest is None else min(*sizes, self._smallest)
        if constraints.max_latency is not None and architectures:
            times = self.estimate(architectures)
            passes = [keeps and time <= constraints.max_latency for keeps, time in zip(passes, times, strict=True)]
            self._fastest = min(times) if self._fastest is None else min(*times, self._fastest)
        return passes

    @property
    def nearest(self) -> str:
        """The smallest size and the lowest estimate of a latency so far, in words; empty before there was any."""
        reasons = [] if self._smallest is None else [f"the smallest has {self._smallest:.3f} MB"]
        reasons += (
            [] if self._fastest is None else [f"the fastest takes about {self._fastest:.3g} ms on {self._device}"]
        )
        return ", ".join(reasons)

    def estimate(self, architectures: Sequence[Architecture]) -> list[float]:
        """Milliseconds of a forward pass of each, from the times of its blocks.

        The sum of block times is off by a factor that some whole networks tell: a block alone pays for its start, or
        finds its input in a nearer memory.
        """
        new = self._parts is None
        self._parts = parts = measure_parts(
            architectures,
            self._resolution,
            self._classes,
            self._device,
            batch=self._constraints.latency_batch,
            known=self._parts,
        )
        if new:
            ordered = sorted(architectures, key=lambda one: cost(one, self._resolution, self._classes).macs)
            chosen = {ordered[index * (len(ordered) - 1) // (TRIED - 1)] for index in range(TRIED)}
            self._factor = statistics.median(self.measure(one) / parts.estimate(one) for one in chosen)
        return [self._factor * parts.estimate(one) for one in architectures]

    def measure(self, architecture: Architecture) -> float:
        """Milliseconds of a forward pass of a whole network."""
        return measure_latency(
            architecture, self._resolution, self._classes, self._device, batch=self._constraints.latency_batch
        )

    def latency(self, architecture: Architecture) -> float | None:
        """As `measure`, where there is a limit; else None."""
        return None if self._constraints.max_latency is None else self.measure(architecture)

    @property
    def timed_on(self) -> str:
        """What latency is measured on, in words."""
        return timed_on(self._device)

    def holds(self, latency: float | None) -> bool:
        """Whether a measured latency is within the limit."""
        return latency is None or self._constraints.max_latency is None or latency <= self._constraints.max_latency


def fitting(constraints: Constraints, *, resolution: int, classes: int, device: torch.device) -> Fitting | None:
    """What tells whether candidates keep the limits on size and latency; None where there is neither."""
    if constraints.max_size is None and constraints.max_latency is None:
        return None
    return Fitting(constraints, resolution=resolution, classes=classes, device=device)
