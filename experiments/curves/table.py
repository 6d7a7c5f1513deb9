"""A task's learning curves as arrays, and what steps cost in seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dass.errors import DassError
from dass.files import read_json
from dass.networks.checkpoint import TeacherCard
from dass.space.architecture import Architecture
from dass.space.cost import cost
from experiments.curves.record import CurveRecord

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Table:
    """Students of one task, distilled in full; n students, r readings.

    Attributes:
        teacher: what is known of the task's teacher: its architecture, classes and resolution above all.
        architectures: the students.
        macs: [n] multiply-accumulates.
        steps: [r] steps after which held-out images were looked at; the last is the end.
        losses: [n, r] mean cross entropy on held-out images.
        accuracies: [n, r] percent of held-out images.
        kd_losses: [n, r] mean distillation loss of the last half of the steps so far.
        validation: [n] percent of held-out images at the end, in eval mode: what a finished student is chosen by.
        test: [n] percent of test images at the end: what a chosen student is worth; nothing chooses by it.
        best: [n] percent, the maximum over the test evaluations.
    """

    teacher: TeacherCard
    architectures: tuple[Architecture, ...]
    macs: Floats
    steps: NDArray[np.int64]
    losses: Floats
    accuracies: Floats
    kd_losses: Floats
    validation: Floats
    test: Floats
    best: Floats

    @classmethod
    def of(cls, records: Sequence[CurveRecord], teacher: TeacherCard) -> "Table":
        """The table of one task's records, one student each, and its teacher.

        Raises:
            DassError: there are none, or their readings are not after the same steps.
        """
        steps = {tuple(reading.steps for reading in record.readings) for record in records}
        if len(steps) != 1:
            raise DassError(f"learning curves of one task must have the same readings, found {len(steps)} kinds")

        def readings(name: str) -> Floats:
            return np.array([[getattr(reading, name) for reading in record.readings] for record in records])

        return cls(
            teacher=teacher,
            architectures=tuple(Architecture.from_json(record.architecture) for record in records),
            macs=np.array([float(record.macs) for record in records]),
            steps=np.array(steps.pop()),
            losses=readings("loss"),
            accuracies=readings("accuracy"),
            kd_losses=readings("kd_loss"),
            validation=np.array([record.validation_accuracy for record in records]),
            test=np.array([record.test_accuracy for record in records]),
            best=np.array([max(record.test_accuracies) for record in records]),
        )

    @property
    def task(self) -> str:
        """The task's name."""
        return self.teacher.task

    @property
    def teacher_macs(self) -> int:
        """Multiply-accumulates of the teacher."""
        return cost(self.teacher.architecture, self.teacher.resolution, len(self.teacher.classes)).macs

    @property
    def total(self) -> int:
        """Steps of a whole distillation."""
        return int(self.steps[-1])

    def reading(self, steps: int) -> int:
        """The column of a reading.

        Raises:
            DassError: there was no reading after so many steps.
        """
        found = np.flatnonzero(self.steps == steps)
        if not len(found):
            raise DassError(f"{self.task}: held-out images were not looked at after {steps} steps")
        return int(found[0])

    def students(self, ids: Mapping[str, float]) -> Floats:
        """[n] what is said of each student by its architecture's id; not a number where nothing is."""
        return np.array([ids.get(one.arch_id, np.nan) for one in self.architectures])

    def within(self, limit: float, least: float = 0.0) -> NDArray[np.int64]:
        """Students with at most, and at least, so many multiply-accumulates."""
        return np.flatnonzero((self.macs <= limit) & (self.macs >= least))


@dataclass(frozen=True)
class Clock:
    """Seconds of one process on the machine that is quoted, measured by `experiments.curves.clock`.

    Attributes:
        fixed: of one distillation step, whatever the student's size: the teacher's logits of its batch are shared by
            all students and are not in it.
        per_mac: of one distillation step for each multiply-accumulate of the student on one image.
        teacher_step: of the teacher's logits of one batch.
        look: of one look at the held-out images, for each multiply-accumulate of the student.
        embedding: of one candidate's response to noise.
        one_batch: of one candidate on one batch with new batch-norm statistics.
    """

    fixed: float
    per_mac: float
    teacher_step: float
    look: float
    embedding: float
    one_batch: float

    @classmethod
    def read(cls, path: Path) -> "Clock":
        """Reads what `experiments.curves.clock` wrote."""
        return cls(**read_json(path)["clock"])

    def training(self, macs: Floats, steps: Floats | float) -> float:
        """Seconds in which students take so many steps each, without the teacher's."""
        return float(np.sum(steps * (self.fixed + self.per_mac * macs)))

    def looking(self, macs: Floats) -> float:
        """Seconds of one look at the held-out images for each student."""
        return float(self.look * np.sum(macs))
