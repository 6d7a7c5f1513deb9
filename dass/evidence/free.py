"""Evidence that costs nothing: size and shape."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dass.space.architecture import STAGES, Architecture
from dass.space.cost import cost

NAMES = (
    "log_parameters",
    "log_macs",
    *(f"depth_{stage + 1}" for stage in range(STAGES)),
    *(f"width_{stage + 1}" for stage in range(STAGES)),
)


def free_rows(architectures: Sequence[Architecture], resolution: int, classes: int) -> NDArray[np.float64]:
    """Logarithms of parameters and MACs; of each stage its depth, and the mean width of its blocks as a ratio.

    Args:
        architectures: the n students.
        resolution: side of the images in pixels.
        classes: of the task.

    Returns:
        [n, f], columns `NAMES`.
    """
    rows = []
    for architecture in architectures:
        spent = cost(architecture, resolution, classes)
        widths = [np.mean(stage) / stage[-1] for stage in architecture.widths]
        rows.append([np.log(spent.parameters), np.log(spent.macs), *architecture.depths, *widths])
    return np.array(rows, dtype=np.float64).reshape(-1, len(NAMES))
