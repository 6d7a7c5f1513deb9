"""Whether a student record from elsewhere can be true: every field, each alone and with the others."""

import math
import re
from collections.abc import Iterator
from datetime import datetime

from dass.errors import UsageError
from dass.space.architecture import Architecture
from dass.students.record import StudentRecord

TASK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
SHORT_ID = re.compile(r"[0-9a-f]{12}")
_LONGEST = 1000  # of a text, in characters
_LONGEST_ARCHITECTURE = 20_000
_MOST = 2**62  # of a count
_SEEDS = 2**32


def problem(record: StudentRecord) -> str | None:
    """The first thing about a record that cannot be, with the field's name; None where all can.

    A student that failed has no accuracies after its start: they may be NaN there and only there.
    """
    return next(_problems(record), None)


def _problems(record: StudentRecord) -> Iterator[str]:
    if not TASK_NAME.fullmatch(record.task):
        yield f"task {record.task!r:.80} is no task's name"
    for name in ("arch_id", "recipe_id", "teacher_id", "data_id"):
        if not SHORT_ID.fullmatch(getattr(record, name)):
            yield f"{name} {getattr(record, name)!r:.80} is not 12 hex digits"
    yield from _architecture(record)
    for name, most in (("seed", _SEEDS), ("macs", _MOST), ("params", _MOST)):
        if not (name != "seed") <= getattr(record, name) < most:
            yield f"{name} {getattr(record, name)} is out of range"
    yield from _numbers(record)
    for name in ("device", "torch_version", "failure"):
        text = getattr(record, name)
        if len(text) > _LONGEST or not text.isprintable() or (not text and name != "failure"):
            yield f"{name} {text!r:.80} is no line of text"
    try:
        datetime.fromisoformat(record.finished_at)
    except ValueError:
        yield f"finished_at {record.finished_at!r:.80} is no time"


def _architecture(record: StudentRecord) -> Iterator[str]:
    if len(record.architecture) > _LONGEST_ARCHITECTURE:  # which may also be too deep for a parser
        yield f"architecture {record.architecture[:40]!r}... is too long"
        return
    try:
        arch_id = Architecture.from_json(record.architecture).arch_id
    except UsageError as error:
        yield f"architecture: {error}"
        return
    if arch_id != record.arch_id:
        yield f"arch_id {record.arch_id} is not that of its architecture, {arch_id}"


def _numbers(record: StudentRecord) -> Iterator[str]:
    failed = bool(record.failure)
    for name in ("init_accuracy", "best_accuracy", "final_accuracy"):
        value = getattr(record, name)
        if not (0 <= value <= 100 or (failed and math.isnan(value))):
            yield f"{name} {value} is not within 0..100"
    for name in ("final_loss", "kd_loss_at_start", "seconds"):
        value = getattr(record, name)
        if not (0 <= value < math.inf or (failed and math.isnan(value))):
            yield f"{name} {value} is not a number from 0 upwards"
    if record.final_accuracy > record.best_accuracy:
        yield f"final_accuracy {record.final_accuracy} is above best_accuracy {record.best_accuracy}"
