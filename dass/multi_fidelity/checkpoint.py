"""Multi-fidelity predictors on disk: samples in safetensors, and a card."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator

from dass.cards import CardFormat, card_path, load_tensors, save_tensors
from dass.config import DistillationRecipe
from dass.errors import DassError, UsageError
from dass.fidelity import Fidelity
from dass.multi_fidelity.gaussian_process import Sample, TaskProcess
from dass.multi_fidelity.predictor import MultiFidelityPredictor
from dass.proxies.recipe_facts import other_settings
from dass.space.search_space import SearchSpace, SearchSpaceField

ARRAYS = ("features", "tasks", "targets", "noise")
FidelityKey = Annotated[str, AfterValidator(lambda key: Fidelity.parse(key).key)]
"""The key of a fidelity; those of earlier versions are read as today's."""


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

    space: SearchSpaceField
    resolution: int
    recipe: Mapping[str, Any]
    tasks: tuple[str, ...]
    teacher_ids: tuple[str, ...]
    students: int
    left_out: Mapping[FidelityKey, float]
    covered: Mapping[FidelityKey, float]
    seed: int
    device: str
    torch_version: str
    seconds: float


@dataclass(frozen=True)
class _MultiFidelityFile:
    """The JSON beside the samples.

    Attributes:
        sha256: SHA-256 of the samples' file.
        alpha: as in `MultiFidelityPredictor`, and so is the next.
        groups: by key of the fidelity, the fidelity's level at which each feature is first seen.
        variances: by key of the fidelity, the variances of its process.
        card: card of the predictor.
    """

    sha256: str
    alpha: float
    temperature: float
    groups: Mapping[str, list[int]]
    variances: Mapping[str, dict[str, float]]
    card: MultiFidelityCard


MULTI_FIDELITY_PREDICTORS = CardFormat(
    _MultiFidelityFile,
    "the card of a multi-fidelity predictor",
    "restore both with `dvc checkout` or run the `multi_fidelity` stage again",
    version=3,
)


def save_multi_fidelity(path: Path, predictor: MultiFidelityPredictor, card: MultiFidelityCard) -> None:
    """Writes a multi-fidelity predictor, atomically, the JSON last.

    Args:
        path: path of the safetensors file; the JSON goes beside it, with the suffix `.json`.
        predictor: learned predictor.
        card: card with the facts about it.

    Raises:
        DassError: it cannot be written.
    """
    processes = {fidelity.key: process for fidelity, process in predictor.processes_.items()}
    samples = {f"{key}/{name}": getattr(made.sample_, name) for key, made in processes.items() for name in ARRAYS}
    file = _MultiFidelityFile(
        sha256=save_tensors(path, {name: np.ascontiguousarray(array) for name, array in samples.items()}),
        alpha=predictor.alpha,
        temperature=predictor.temperature,
        groups={key: list(process.groups) for key, process in processes.items()},
        variances={key: process.variances_ for key, process in processes.items()},
        card=card,
    )
    MULTI_FIDELITY_PREDICTORS.write(card_path(path), file)


def load_multi_fidelity(path: Path) -> tuple[MultiFidelityPredictor, MultiFidelityCard]:
    """Reads a multi-fidelity predictor and checks it.

    Raises:
        DassError: a file is missing or damaged, or they do not belong together.
    """
    file = MULTI_FIDELITY_PREDICTORS.read(card_path(path))
    arrays = load_tensors(path, file.sha256, MULTI_FIDELITY_PREDICTORS.remedy)
    predictor = MultiFidelityPredictor(alpha=file.alpha, temperature=file.temperature)
    try:
        predictor.processes_ = {
            Fidelity.parse(key): TaskProcess(groups).condition(
                Sample(*(arrays[f"{key}/{name}"] for name in ARRAYS)), file.variances[key]
            )
            for key, groups in sorted(file.groups.items(), key=lambda item: Fidelity.parse(item[0]).level)
        }
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # variances that are none break the algebra
        raise DassError(
            f"{path} holds no samples that can be read ({error}): {MULTI_FIDELITY_PREDICTORS.remedy}"
        ) from error
    return predictor, file.card


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
