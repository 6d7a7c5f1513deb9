"""What rules pick under a study's limits, and the best drawn student, to be trained without its teacher."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from dass.files import read_json, write_json
from dass.networks.checkpoint import load_card
from dass.space.architecture import Architecture
from experiments.curves.named import threshold, uniform
from experiments.curves.record import read_curves
from experiments.curves.searched import searched
from experiments.curves.tasks import SEED, Study, opened

Rule = Literal["searched", "uniform", "threshold", "trained alone"]
LABELS_ALONE = 1.0  # weight of the labels in the loss


@dataclass(frozen=True)
class Pick:
    """One architecture that is trained because a rule names it.

    Attributes:
        task: name of the task.
        rule: which rule; `searched` is what `dass search` picks by the predictor that comes with DaSS, `trained alone`
            is the drawn student with the best held-out accuracy.
        limit: most multiply-accumulates, as a share of the teacher's.
        architecture: what was picked.
        alpha: weight of the labels in the loss with which it is trained, 0..1.
    """

    task: str
    rule: Rule
    limit: float
    architecture: Architecture
    alpha: float


def pick_job(study: Study, task: str, limit: float) -> list[Pick]:
    """All picks of a task under a limit; kept, so that students which are drawn later change none."""
    path = study.picks_file(task)
    kept = read_picks(path)
    if not any(one.limit == limit for one in kept):
        kept += _picks(study, task, limit)
        write_json(path, [_to_json(one) for one in kept])
    return [one for one in kept if one.limit == limit]


def read_picks(path: Path) -> list[Pick]:
    """The picks in a file; none where there is no file."""
    if not path.exists():
        return []
    return [Pick(**{**one, "architecture": Architecture.from_json(one["architecture"])}) for one in read_json(path)]


def _to_json(pick: Pick) -> dict[str, object]:
    return {**vars(pick), "architecture": pick.architecture.to_json()}


def _picks(study: Study, task: str, limit: float) -> Iterator[Pick]:
    teacher, fit, _ = opened(study, task)
    space, recipe = study.space(task), study.params.distillation
    most = limit * study.macs(task, teacher.architecture)
    count = partial(study.macs, task)
    held_out = replace(fit, train_images=fit.test_images, train_labels=fit.test_labels)
    if study.setting.searched:
        found = searched(teacher, load_card(study.teacher_file(task)), fit, recipe, limit, seed=SEED)
        yield Pick(task, "searched", limit, found, recipe.alpha)
    yield Pick(task, "uniform", limit, uniform(space, most, count), recipe.alpha)
    found = threshold(space, teacher, held_out, most, count, alpha=recipe.alpha, temperature=recipe.temperature)
    yield Pick(task, "threshold", limit, found, recipe.alpha)
    drawn = [one for one in read_curves(study.curves_file(task)) if one.macs <= most]
    if drawn:
        best = max(drawn, key=lambda one: (one.validation_accuracy, -one.validation_loss))
        yield Pick(task, "trained alone", limit, Architecture.from_json(best.architecture), LABELS_ALONE)
