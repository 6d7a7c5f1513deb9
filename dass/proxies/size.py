"""Proxies that cost nothing: size and shape."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dass.fidelity import SIZE
from dass.proxies.table import Column
from dass.space.architecture import Architecture
from dass.space.cost import cost


def columns(stages: int) -> tuple[Column, ...]:
    """Columns for networks of so many stages."""
    whole = (Column(name, SIZE) for name in ("log_parameters", "log_macs"))
    return (*whole, *Column.for_stages("depth", SIZE, stages), *Column.for_stages("width", SIZE, stages))


def size_rows(
    architectures: Sequence[Architecture], resolution: int, classes: int, full: Sequence[int]
) -> NDArray[np.float64]:
    """Logarithms of parameters and MACs; of each stage its depth, and the mean width of its blocks as a ratio.

    Args:
        architectures: architectures of the n students.
        resolution: side of the images in pixels.
        classes: number of classes of the task.
        full: the teacher's width of each stage.

    Returns:
        [n, f], columns `columns`.
    """
    rows = []
    for architecture in architectures:
        price = cost(architecture, resolution, classes)
        widths = [np.mean(stage) / whole for stage, whole in zip(architecture.widths, full, strict=True)]
        rows.append([np.log(price.parameters), np.log(price.macs), *architecture.depths, *widths])
    return np.array(rows, dtype=np.float64).reshape(-1, 2 + 2 * len(full))
