"""One student's learning curve, and the files that hold them."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from dass.errors import DassError


@dataclass(frozen=True)
class Reading:
    """Held-out training images, looked at while the student trains.

    Attributes:
        steps: taken so far.
        kd_loss: mean distillation loss of the last half of these steps.
        accuracy: percent of the held-out images, with batch-norm statistics of these images.
        loss: mean cross entropy on them, likewise.
    """

    steps: int
    kd_loss: float
    accuracy: float
    loss: float


@dataclass(frozen=True)
class CurveRecord:
    """A student distilled in full on most of its task's training images.

    Attributes:
        task: the task's name.
        arch_id: the architecture's short id.
        architecture: as JSON text.
        seed: of batch order and augmentation.
        alpha: weight of the labels in the loss; 1 means trained without the teacher.
        teacher_id: the teacher's weights.
        data_id: images and how they are divided.
        recipe_id: the distillation recipe.
        steps: of the whole distillation.
        macs: multiply-accumulates.
        params: trained weights.
        readings: in order; the last is at the end.
        validation_accuracy: percent of the held-out images at the end, in eval mode.
        validation_loss: mean cross entropy likewise.
        test_accuracies: percent of the test images after each quarter of the training; nothing may choose by them.
        test_loss: mean cross entropy on the test images at the end.
        cpu_seconds: processor time of the training steps; other work on the machine adds little to it.
        device: where.
        torch_version: with what.
    """

    task: str
    arch_id: str
    architecture: str
    seed: int
    alpha: float
    teacher_id: str
    data_id: str
    recipe_id: str
    steps: int
    macs: int
    params: int
    readings: tuple[Reading, ...]
    validation_accuracy: float
    validation_loss: float
    test_accuracies: tuple[float, ...]
    test_loss: float
    cpu_seconds: float
    device: str
    torch_version: str

    @property
    def identity(self) -> tuple[str, str, int, float, str, str]:
        """Two records with one identity are of the same run."""
        return self.task, self.arch_id, self.seed, self.alpha, self.teacher_id, self.recipe_id

    @property
    def test_accuracy(self) -> float:
        """Percent of the test images at the end."""
        return self.test_accuracies[-1]


def read_curves(path: Path) -> list[CurveRecord]:
    """The records of a task's file, one JSON object a line; none where there is no file.

    Raises:
        DassError: a line is not a record.
    """
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            values = json.loads(line)
            readings = tuple(Reading(**reading) for reading in values.pop("readings"))
            accuracies = tuple(values.pop("test_accuracies"))
            records.append(CurveRecord(**values, readings=readings, test_accuracies=accuracies))
        except (ValueError, TypeError, KeyError) as error:
            raise DassError(f"{path}, line {number} is not a learning curve ({error}): remove the line") from None
    return records


def append_curves(path: Path, records: Iterable[CurveRecord]) -> None:
    """Adds records at the end of a task's file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for record in records:
            file.write(json.dumps(asdict(record), separators=(",", ":")) + "\n")
