"""Proxies that costs nothing: size and shape."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dass.space.architecture import Architecture
from dass.space.cost import cost


def names(stages: int) -> tuple[str, ...]:
    """Columns for networks of so many stages."""
    depths = (f"depth_{stage + 1}" for stage in range(stages))
    widths = (f"width_{stage + 1}" for stage in range(stages))
    return ("log_parameters", "log_macs", *depths, *widths)


def size_rows(
    architectures: Sequence[Architecture], resolution: int, classes: int, full: Sequence[int]
) -> NDArray[np.float64]:
    """Logarithms of parameters and MACs; of each stage its depth, and the mean width of its blocks as a ratio.

    Args:
        architectures: the n students.
        resolution: side of the images in pixels.
        classes: of the task.
        full: the teacher's width of each stage.

    Returns:
        [n, f], columns `names`.
    """
    rows = []
    for architecture in architectures:
        spent = cost(architecture, resolution, classes)
        widths = [np.mean(stage) / whole for stage, whole in zip(architecture.widths, full, strict=True)]
        rows.append([np.log(spent.parameters), np.log(spent.macs), *architecture.depths, *widths])
    return np.array(rows, dtype=np.float64).reshape(-1, len(names(len(full))))
