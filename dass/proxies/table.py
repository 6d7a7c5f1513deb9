"""Proxies of students as one table: a row for each, a column for each measurement, and the teacher's own row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dass.errors import DassError
from dass.fidelity import Fidelity

Floats = NDArray[np.float64]
Measure = Literal["accuracy", "loss", "kd_loss", "agreement", "difference"]


@dataclass(frozen=True)
class Column:
    """What a column of a table holds.

    Attributes:
        name: name of the column; with the number of the stage, from 1, where there is one for each stage.
        fidelity: the cheapest at which it is known.
        measure: `accuracy` or `agreement`, shares of images; `loss`, cross entropy; `kd_loss`, of distillation; or
            `difference`, anything that is compared with the teacher's by subtraction.
        per_stage: the name without its number where there is one for each stage, else empty.
    """

    name: str
    fidelity: Fidelity
    measure: Measure = "difference"
    per_stage: str = ""

    @classmethod
    def for_stages(cls, name: str, fidelity: Fidelity, stages: int) -> "tuple[Column, ...]":
        """A column for each of so many stages."""
        return tuple(cls(f"{name}_{stage + 1}", fidelity, per_stage=name) for stage in range(stages))


@dataclass(frozen=True, eq=False)
class ProxyTable:
    """Measurements of students and, in the same way, of their teacher as the largest of them.

    Attributes:
        columns: measurements, one for each column.
        values: [n, f]; NaN where a measurement broke down.
        teacher: measurements of the teacher, [f].
        seconds: wall seconds per student that all these measurements, the teacher's with them, took when they were
            made, which may have been in an earlier run.
    """

    columns: tuple[Column, ...]
    values: Floats
    teacher: Floats
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.values.shape[1:] != (len(self.columns),) or self.teacher.shape != (len(self.columns),):
            raise DassError(
                f"{len(self.columns)} columns of proxies have values {list(self.values.shape)} and a teacher's row "
                f"{list(self.teacher.shape)}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.columns)

    def select(self, indices: Sequence[int]) -> "ProxyTable":
        """Some of the columns, in the order of their indices."""
        chosen = list(indices)
        columns = tuple(self.columns[index] for index in chosen)
        return ProxyTable(columns, self.values[:, chosen], self.teacher[chosen], self.seconds)


def joined(parts: Sequence[ProxyTable]) -> ProxyTable:
    """All columns of several tables of the same students, in the same order."""
    return ProxyTable(
        tuple(column for part in parts for column in part.columns),
        np.concatenate([part.values for part in parts], axis=1),
        np.concatenate([part.teacher for part in parts]),
        sum(part.seconds for part in parts),
    )
