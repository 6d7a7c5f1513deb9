"""Multi-fidelity predictors on disk: samples in safetensors, the variances and the card in JSON beside it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from dass.config import DistillationRecipe
from dass.errors import DassError, UsageError
from dass.fidelity import Fidelity
from dass.files import file_sha256, write_bytes
from dass.multi_fidelity.gaussian_process import Sample, TaskProcess
from dass.multi_fidelity.predictor import MultiFidelityPredictor
from dass.proxies.recipe_facts import other_settings
from dass.sealed import read_sealed, write_sealed
from dass.space.search_space import SearchSpace

FORMAT = 3
ARRAYS = ("features", "tasks", "targets", "noise")


@dataclass(frozen=True)
class MultiFidelityCard:
    """Where a multi-fidelity predictor comes from, and of what students it can tell.

    Attributes:
        space: the search space of its students.
        resolution: side of their images in pixels.
        recipe: recipe of their distillation, as far as proxies depend on it, see `recipe_facts`.
        tasks: the source tasks.
        teacher_ids: ids of their teachers, in the same order.
        students: number of students of all tasks together.
        left_out: by key of the fidelity, the mean Spearman correlation over source tasks, each predicted by a
            predictor that has learned from the tasks of other classes alone.
        covered: by key of the fidelity, the share of these students that lie within their 80% interval.
        seed: random seed of the noise and the batches that proxies are taken on.
        device: device that proxies were measured on.
        torch_version: version of torch.
        seconds: seconds of proxies and learning.
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


def save_multi_fidelity(path: Path, predictor: MultiFidelityPredictor, card: MultiFidelityCard) -> None:
    """Writes a multi-fidelity predictor, atomically, the JSON last.

    Args:
        path: path of the safetensors file; the JSON goes beside it, with the suffix `.json`.
        predictor: learned predictor.
        card: card with the facts about it.

    Raises:
        DassError: it cannot be written.
    """
    processes = predictor.processes_
    arrays = {f"{one.key}/{name}": getattr(made.sample_, name) for one, made in processes.items() for name in ARRAYS}
    write_bytes(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    write_sealed(
        path.with_suffix(".json"),
        {
            "format": FORMAT,
            "sha256": file_sha256(path),
            "alpha": predictor.alpha,
            "temperature": predictor.temperature,
            "groups": {one.key: list(process.groups) for one, process in processes.items()},
            "variances": {one.key: process.variances_ for one, process in processes.items()},
            "card": {**asdict(card), "space": card.space.facts()},
        },
    )


def load_multi_fidelity(path: Path) -> tuple[MultiFidelityPredictor, MultiFidelityCard]:
    """Reads a multi-fidelity predictor and checks it.

    Raises:
        DassError: a file is missing or damaged, or they do not belong together.
    """
    facts: dict[str, Any] = read_sealed(path.with_suffix(".json"))
    try:
        if facts["format"] != FORMAT:
            raise DassError(
                f"{path.with_suffix('.json')}: format {facts['format']} is of another version of dass: run the "
                "`multi_fidelity` stage again"
            )
        if file_sha256(path) != facts["sha256"]:
            raise DassError(f"{path} and its .json do not belong together (hash): restore both with `dvc checkout`")
        arrays = load_file(path)
        predictor = MultiFidelityPredictor(alpha=facts["alpha"], temperature=facts["temperature"])
        predictor.processes_ = {
            Fidelity.parse(key): TaskProcess(groups).condition(
                Sample(*(arrays[f"{key}/{name}"] for name in ARRAYS)), facts["variances"][key]
            )
            for key, groups in sorted(facts["groups"].items(), key=lambda item: Fidelity.parse(item[0]).level)
        }
        return predictor, _card(facts["card"])
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise DassError(
            f"{path} is no multi-fidelity predictor that can be read ({error}): restore it with `dvc checkout`"
        ) from error


def check_fits(
    card: MultiFidelityCard, space: SearchSpace | None, resolution: int | None, recipe: DistillationRecipe, path: Path
) -> None:
    """Refuses a multi-fidelity predictor that was learned from students of another kind.

    Args:
        card: card of the multi-fidelity predictor.
        space: search space of the students to be predicted; None for students of any space.
        resolution: side of their images in pixels; None likewise.
        recipe: recipe of the students' distillation.
        path: path of the multi-fidelity predictor, for the message.

    Raises:
        UsageError: something differs, with its name in params.yaml.
    """
    other = ["space"] if space is not None and card.space != space else []
    other += ["data.resolution"] if resolution is not None and card.resolution != resolution else []
    other += other_settings(recipe, card.recipe)
    if other:
        raise UsageError(f"{path} was learned with another {', '.join(other)}: run the `multi_fidelity` stage again")


def recipe_of(card: MultiFidelityCard) -> DistillationRecipe:
    """The recipe that a multi-fidelity predictor's proxies are of; what they do not depend on is as short as may be."""
    return DistillationRecipe.model_validate(
        {"epochs": 1, "precision": "auto", "evaluations": 1, **card.recipe}, strict=False
    )


def _card(values: Mapping[str, Any]) -> MultiFidelityCard:
    lists: dict[str, Any] = {name: tuple(values[name]) for name in ("tasks", "teacher_ids")}
    for name in ("left_out", "covered"):
        lists[name] = {Fidelity.parse(key).key: value for key, value in values[name].items()}
    return MultiFidelityCard(**{**values, **lists, "space": SearchSpace.from_facts(values["space"])})
