"""Ladders on disk: what each rung has learned from in safetensors, the variances and the card in JSON beside it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from dass.errors import DassError
from dass.files import file_sha256, read_json, write_bytes, write_json
from dass.ladder.gaussian_process import Sample, TaskProcess
from dass.ladder.ladder import Ladder

FORMAT = 1
ARRAYS = ("features", "tasks", "targets", "noise")


@dataclass(frozen=True)
class LadderCard:
    """Where a ladder comes from.

    Attributes:
        tasks: the source tasks.
        teacher_ids: of their teachers, in the same order.
        students: of all of them together.
        left_out: by rung, the mean Spearman correlation over source tasks, each predicted by a ladder that has learned
            from the tasks of other classes alone.
        covered: by rung, the share of these students that lie within their 80% interval.
        seed: of the batches that evidence is taken on.
        device: on which evidence was taken.
        torch_version: with which.
        seconds: evidence and learning.
    """

    tasks: tuple[str, ...]
    teacher_ids: tuple[str, ...]
    students: int
    left_out: Mapping[str, float]
    covered: Mapping[str, float]
    seed: int
    device: str
    torch_version: str
    seconds: float


def save_ladder(path: Path, ladder: Ladder, card: LadderCard) -> None:
    """Writes a ladder, atomically, the JSON last.

    Args:
        path: of the safetensors file; the JSON goes beside it, with the suffix `.json`.
        ladder: learned.
        card: what is known about it.

    Raises:
        DassError: it cannot be written.
    """
    processes = ladder.processes_
    arrays = {f"{rung}/{name}": getattr(one.sample_, name) for rung, one in processes.items() for name in ARRAYS}
    write_bytes(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    write_json(
        path.with_suffix(".json"),
        {
            "format": FORMAT,
            "sha256": file_sha256(path),
            "alpha": ladder.alpha,
            "temperature": ladder.temperature,
            "groups": {rung: list(process.groups) for rung, process in processes.items()},
            "variances": {rung: process.variances_ for rung, process in processes.items()},
            "card": asdict(card),
        },
    )


def load_ladder(path: Path) -> tuple[Ladder, LadderCard]:
    """Reads a ladder and checks it.

    Raises:
        DassError: a file is missing or damaged, or they do not belong together.
    """
    facts: dict[str, Any] = read_json(path.with_suffix(".json"))
    try:
        if facts["format"] != FORMAT:
            raise DassError(f"{path.with_suffix('.json')}: format {facts['format']} is of another version of dass")
        if file_sha256(path) != facts["sha256"]:
            raise DassError(f"{path} and its .json do not belong together (hash): restore both with `dvc checkout`")
        arrays = load_file(path)
        ladder = Ladder(alpha=facts["alpha"], temperature=facts["temperature"])
        ladder.processes_ = {
            rung: TaskProcess(groups).condition(
                Sample(*(arrays[f"{rung}/{name}"] for name in ARRAYS)), facts["variances"][rung]
            )
            for rung, groups in facts["groups"].items()
        }
        card = {**facts["card"], "tasks": tuple(facts["card"]["tasks"])}
        return ladder, LadderCard(**{**card, "teacher_ids": tuple(card["teacher_ids"])})
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise DassError(f"{path} is no ladder that can be read ({error}): restore it with `dvc checkout`") from error
