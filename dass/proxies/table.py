"""Proxies of students as one table: a row for each, a column for each measurement, and the teacher's own row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dass.errors import DassError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ProxyTable:
    """Measurements of students and, in the same way, of their teacher as the largest of them.

    Attributes:
        names: of the columns.
        values: [n, f]; NaN where a measurement broke down.
        teacher: [f].
        seconds: wall seconds per student that all these measurements, the teacher's with them, took when they were
            made, which may have been in an earlier run.
    """

    names: tuple[str, ...]
    values: Floats
    teacher: Floats
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.values.shape[1:] != (len(self.names),) or self.teacher.shape != (len(self.names),):
            raise DassError(
                f"evidence of {len(self.names)} columns has values {list(self.values.shape)} and a teacher's row "
                f"{list(self.teacher.shape)}"
            )


def joined(parts: Sequence[ProxyTable]) -> ProxyTable:
    """All columns of several tables of the same students, in the same order."""
    return ProxyTable(
        tuple(name for part in parts for name in part.names),
        np.concatenate([part.values for part in parts], axis=1),
        np.concatenate([part.teacher for part in parts]),
        sum(part.seconds for part in parts),
    )
