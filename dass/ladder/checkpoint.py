"""Ladders on disk: what each rung has learned from in safetensors, the variances and the card in JSON beside it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from dass.config import DistillationRecipe
from dass.errors import DassError, UsageError
from dass.evidence.collector import recipe_facts
from dass.files import file_sha256, write_bytes
from dass.ladder.gaussian_process import Sample, TaskProcess
from dass.ladder.ladder import Ladder
from dass.sealed import read_sealed, write_sealed
from dass.space.search_space import SearchSpace

FORMAT = 3
ARRAYS = ("features", "tasks", "targets", "noise")


@dataclass(frozen=True)
class LadderCard:
    """Where a ladder comes from, and of what students it can tell.

    Attributes:
        space: the search space of its students.
        resolution: side of their images in pixels.
        recipe: of their distillation, as far as evidence depends on it, see `recipe_facts`.
        tasks: the source tasks.
        teacher_ids: of their teachers, in the same order.
        students: of all of them together.
        left_out: by rung, the mean Spearman correlation over source tasks, each predicted by a ladder that has learned
            from the tasks of other classes alone.
        covered: by rung, the share of these students that lie within their 80% interval.
        seed: of the noise and the batches that evidence is taken on.
        device: on which evidence was taken.
        torch_version: with which.
        seconds: evidence and learning.
    """

    space: SearchSpace
    resolution: int
    recipe: Mapping[str, Any]
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
    write_sealed(
        path.with_suffix(".json"),
        {
            "format": FORMAT,
            "sha256": file_sha256(path),
            "alpha": ladder.alpha,
            "temperature": ladder.temperature,
            "groups": {rung: list(process.groups) for rung, process in processes.items()},
            "variances": {rung: process.variances_ for rung, process in processes.items()},
            "card": {**asdict(card), "space": card.space.facts()},
        },
    )


def load_ladder(path: Path) -> tuple[Ladder, LadderCard]:
    """Reads a ladder and checks it.

    Raises:
        DassError: a file is missing or damaged, or they do not belong together.
    """
    facts: dict[str, Any] = read_sealed(path.with_suffix(".json"))
    try:
        if facts["format"] != FORMAT:
            raise DassError(
                f"{path.with_suffix('.json')}: format {facts['format']} is of another version of dass: run the "
                "`ladder` stage again"
            )
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
        return ladder, _card(facts["card"])
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise DassError(f"{path} is no ladder that can be read ({error}): restore it with `dvc checkout`") from error


def check_fits(
    card: LadderCard, space: SearchSpace | None, resolution: int | None, recipe: DistillationRecipe, path: Path
) -> None:
    """Refuses a ladder that was learned from students of another kind.

    Args:
        card: the ladder's.
        space: of the students to be predicted; None where the ladder is to tell of students of any space.
        resolution: side of their images in pixels; None likewise.
        recipe: of their distillation.
        path: of the ladder, for the message.

    Raises:
        UsageError: something differs, with its name in params.yaml.
    """
    facts = recipe_facts(recipe)
    other = ["space"] if space is not None and card.space != space else []
    other += ["data.resolution"] if resolution is not None and card.resolution != resolution else []
    names = sorted(facts.keys() | card.recipe.keys())
    other += [f"distillation.{name}" for name in names if facts.get(name) != card.recipe.get(name)]
    if other:
        raise UsageError(f"{path} was learned with another {', '.join(other)}: run the `ladder` stage again")


def _card(values: Mapping[str, Any]) -> LadderCard:
    lists = {name: tuple(values[name]) for name in ("tasks", "teacher_ids")}
    return LadderCard(**{**values, **lists, "space": SearchSpace.from_facts(values["space"])})
