"""Proxies that cost nothing: size and shape."""

from collections.abc import Sequence

import numpy as np

from dass.fidelity import SIZE
from dass.proxies.proxy import Proxy, Subject
from dass.proxies.table import Column, Floats
from dass.space.architecture import Architecture
from dass.space.cost import cost


class Size(Proxy):
    """Logarithms of parameters and MACs, depths and mean widths of the stages."""

    fidelity = SIZE

    def columns(self, stages: int) -> tuple[Column, ...]:
        """See `Proxy.columns`."""
        whole = (Column(name, SIZE) for name in ("log_parameters", "log_macs"))
        return (*whole, *Column.for_stages("depth", SIZE, stages), *Column.for_stages("width", SIZE, stages))

    def rows(self, subject: Subject, architectures: Sequence[Architecture]) -> Floats:
        """See `Proxy.rows`."""
        data, full = subject.load(), [stage[-1] for stage in subject.teacher.architecture.widths]
        return size_rows(architectures, data.resolution, len(data.classes), full)


def size_rows(architectures: Sequence[Architecture], resolution: int, classes: int, full: Sequence[int]) -> Floats:
    """Logarithms of parameters and MACs; of each stage its depth, and the mean width of its blocks as a ratio.

    Args:
        architectures: architectures of the n students.
        resolution: side of the images in pixels.
        classes: number of classes of the task.
        full: full width of each stage of the teacher, in channels.

    Returns:
        [n, f], columns as of `Size`.
    """
    rows = []
    for architecture in architectures:
        price = cost(architecture, resolution, classes)
        widths = [np.mean(stage) / whole for stage, whole in zip(architecture.widths, full, strict=True)]
        rows.append([np.log(price.parameters), np.log(price.macs), *architecture.depths, *widths])
    return np.array(rows, dtype=np.float64).reshape(-1, 2 + 2 * len(full))
