"""Whether a student record from elsewhere can be true: every field, each alone and with the others."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from dass.errors import UsageError
from dass.space.architecture import Architecture

TASK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
SHORT_ID = re.compile(r"[0-9a-f]{12}")
_LONGEST = 1000  # of a text, in characters
_LONGEST_ARCHITECTURE = 20_000
_MOST = 2**62  # of a count
_SEEDS = 2**32


def problem(row: Mapping[str, Any]) -> str | None:
    """The first thing about a record that cannot be, with the field's name; None where all can.

    Args:
        row: the record as `dass.students.record_file.row_of` gives it.

    A student that failed has no accuracies after its start: they may be NaN there and only there.
    """
    return next(_problems(row), None)


def _problems(row: Mapping[str, Any]) -> Iterator[str]:
    if not TASK_NAME.fullmatch(row["task"]):
        yield f"task {row['task']!r:.80} is no task's name"
    for name in ("arch_id", "recipe_id", "teacher_id", "data_id"):
        if not SHORT_ID.fullmatch(row[name]):
            yield f"{name} {row[name]!r:.80} is not 12 hex digits"
    yield from _architecture(row)
    for name, most in (("seed", _SEEDS), ("macs", _MOST), ("params", _MOST)):
        if not (name != "seed") <= row[name] < most:
            yield f"{name} {row[name]} is out of range"
    yield from _numbers(row)
    for name in ("device", "torch_version", "failure"):
        text = row[name]
        if len(text) > _LONGEST or not text.isprintable() or (not text and name != "failure"):
            yield f"{name} {text!r:.80} is no line of text"
    try:
        datetime.fromisoformat(row["finished_at"])
    except ValueError:
        yield f"finished_at {row['finished_at']!r:.80} is no time"


def _architecture(row: Mapping[str, Any]) -> Iterator[str]:
    if len(row["architecture"]) > _LONGEST_ARCHITECTURE:  # which may also be too deep for a parser
        yield f"architecture {row['architecture'][:40]!r}... is too long"
        return
    try:
        found = Architecture.from_json(row["architecture"]).arch_id
    except UsageError as error:
        yield f"architecture: {error}"
        return
    if found != row["arch_id"]:
        yield f"arch_id {row['arch_id']} is not that of its architecture, {found}"


def _numbers(row: Mapping[str, Any]) -> Iterator[str]:
    failed = bool(row["failure"])
    for name in ("init_accuracy", "best_accuracy", "final_accuracy"):
        value = row[name]
        if not (0 <= value <= 100 or (failed and math.isnan(value))):
            yield f"{name} {value} is not within 0..100"
    for name in ("final_loss", "kd_loss_at_start", "seconds"):
        value = row[name]
        if not (0 <= value < math.inf or (failed and math.isnan(value))):
            yield f"{name} {value} is not a number from 0 upwards"
    if row["final_accuracy"] > row["best_accuracy"]:
        yield f"final_accuracy {row['final_accuracy']} is above best_accuracy {row['best_accuracy']}"
