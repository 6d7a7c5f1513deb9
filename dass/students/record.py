"""One row of the student-accuracy database, and what makes two rows the same student."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from dass.space.architecture import Architecture

PROVENANCE = ("seconds", "device", "torch_version", "finished_at")  # may differ between two runs of one student


@dataclass(frozen=True)
class TaskKey:
    """Everything but architecture and seed that a student's result depends on.

    Attributes:
        task: name of the task.
        data_id: 12 hex digits of the content of its images.
        teacher_id: 12 hex digits of the teacher's weights.
        recipe_id: 12 hex digits of the distillation recipe, precision included.
        equivalent: names of recipes that count as the same, see `dass.config.recipe_ids`.
    """

    task: str
    data_id: str
    teacher_id: str
    recipe_id: str
    equivalent: tuple[str, ...] = field(default=(), compare=False)

    def covers(self, other: "TaskKey") -> bool:
        """Whether a result that was filed under another key counts under this one."""
        return self == other or (
            other.recipe_id in self.equivalent and self == replace(other, recipe_id=self.recipe_id)
        )


@dataclass(frozen=True)
class StudentRecord:
    """What one distilled student reached.

    Attributes:
        task: name of the task.
        arch_id: the architecture's short id.
        architecture: architecture of the network.
        seed: random seed of batch order and augmentation.
        recipe_id: 12 hex digits of the distillation recipe, precision included.
        teacher_id: 12 hex digits of the teacher's weights.
        data_id: 12 hex digits of the content of the task's images.
        init_accuracy: percent of test images, remapped and not yet trained.
        best_accuracy: percent, the maximum over the evaluations (chosen on the test set, as in the paper).
        final_accuracy: percent at the end of training.
        final_loss: mean test cross entropy at the end.
        kd_loss_at_start: mean distillation loss of the remapped student on the first (up to four) training batches.
        macs: multiply-accumulates of convolutions and the linear layer.
        params: number of trained weights.
        seconds: share of the wall time, in seconds.
        device: device of the training, such as `cpu`.
        torch_version: version of torch.
        finished_at: ISO 8601, UTC.
        failure: empty, or why training stopped: then best, final and loss are NaN and it is never ranked.
    """

    task: str
    arch_id: str
    architecture: Architecture
    seed: int
    recipe_id: str
    teacher_id: str
    data_id: str
    init_accuracy: float
    best_accuracy: float
    final_accuracy: float
    final_loss: float
    kd_loss_at_start: float
    macs: int
    params: int
    seconds: float
    device: str
    torch_version: str
    finished_at: str
    failure: str

    @property
    def key(self) -> TaskKey:
        """What it was measured under."""
        return TaskKey(self.task, self.data_id, self.teacher_id, self.recipe_id)

    @property
    def identity(self) -> tuple[TaskKey, str, int]:
        """Two records with one identity are of the same student."""
        return self.key, self.arch_id, self.seed

    def differences(self, other: "StudentRecord") -> tuple[str, ...]:
        """Fields in which two records of one student disagree, apart from where and when they were made."""
        return tuple(
            name
            for name, value in vars(self).items()
            if name not in PROVENANCE and not _same(value, getattr(other, name))
        )


@dataclass(frozen=True)
class Conflict:
    """Two records of one student that disagree.

    Attributes:
        existing: record that was there already.
        refused: record that was refused.
        fields: names of the fields that differ.
    """

    existing: StudentRecord
    refused: StudentRecord
    fields: tuple[str, ...]

    def __str__(self) -> str:
        values = ", ".join(
            f"{name} {getattr(self.existing, name)} kept, {getattr(self.refused, name)} refused" for name in self.fields
        )
        return f"{self.existing.task} {self.existing.arch_id} seed {self.existing.seed}: {values}"


@dataclass(frozen=True)
class Merge:
    """Records joined one by one.

    Attributes:
        records: all, sorted by architecture and seed, no identity twice.
        added: number of new records.
        unchanged: number of records that were there already, with the same values.
        conflicts: those that were there with other values; what was there stays.
    """

    records: tuple[StudentRecord, ...]
    added: int
    unchanged: int
    conflicts: tuple[Conflict, ...]


def merge(existing: Sequence[StudentRecord], new: Iterable[StudentRecord]) -> Merge:
    """Adds records to others; what is there already is never changed and never doubled."""
    joined = {record.identity: record for record in existing}
    added = unchanged = 0
    conflicts = []
    for record in new:
        present = joined.setdefault(record.identity, record)
        if present is record:
            added += 1
        elif fields := present.differences(record):
            conflicts.append(Conflict(present, record, fields))
        else:
            unchanged += 1
    ordered = sorted(joined.values(), key=lambda record: (record.arch_id, record.seed, *vars(record.key).values()))
    return Merge(tuple(ordered), added, unchanged, tuple(conflicts))


def _same(one: object, other: object) -> bool:
    """Equality under which NaN, which failed students carry, equals itself."""
    both = isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    return both or one == other
