"""How rankings without training score the drawn students: `python -m experiments.curves.scores SETTING`.

They see the teacher, held-out or training images, and the architecture, never a student's curve. Scores go to
`docs/study/SETTING/scores.json`, from where `experiments.curves.replay` takes them.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from dass.datasets.task_data import TaskData
from dass.fidelity import NOISE, SIZE, Fidelity
from dass.files import read_json, write_json
from dass.networks.checkpoint import load_card
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.sorting import sort_channels
from dass.params_file import find_root
from dass.proxies.one_batch import ACCURACY, LOSS, one_batch_rows
from dass.shipped.card import Kind
from dass.shipped.fixture import Fixture
from dass.shipped.predict import EMBEDDING, predict
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.training.workers import Workers
from experiments.curves.record import CurveRecord, read_curves
from experiments.curves.setting import SETTINGS, setting_of
from experiments.curves.tasks import SEED, Study, opened
from flows.infrastructure.exits import exit_with_line

EAGLE_EYE = "EagleEye"


@dataclass(frozen=True)
class Scores:
    """One ranking's scores of one task's students.

    Attributes:
        task: name of the task.
        ranking: name of the ranking.
        price: the field of `Clock` that one candidate costs; empty for nothing worth counting.
        steps: of training that each candidate costs besides.
        values: score of each student by its architecture's id; the larger the better.
    """

    task: str
    ranking: str
    price: str
    steps: int
    values: dict[str, float]


def main(
    setting: Annotated[str, typer.Argument(help="One of " + ", ".join(SETTINGS))],
    predictors: Annotated[
        Path | None, typer.Option(help="Project whose pipeline has learned predictors from the same source images.")
    ] = None,
) -> None:
    """Score all drawn students of all targets."""
    torch.set_num_threads(1)
    study = Study(find_root(), setting_of(setting))
    found = []
    for task in study.setting.targets:
        records = [one for one in read_curves(study.curves_file(task)) if one.seed == SEED]
        if records:
            found += [*_untrained(study, task, records)]
            found += [*_learned(study, task, records, predictors)] if predictors else []
    write_json(scores_file(study), [asdict(one) for one in found])


def scores_file(study: Study) -> Path:
    """Where a study's scores are."""
    return study.folder / "scores.json"


def read_scores(path: Path) -> list[Scores]:
    """The scores in a file; none where there is no file."""
    return [Scores(**one) for one in read_json(path)] if path.exists() else []


def _untrained(study: Study, task: str, records: Sequence[CurveRecord]) -> Iterator[Scores]:
    teacher, fit, _ = opened(study, task)
    members = [Architecture.from_json(one.architecture) for one in records]
    prices = [cost(member, fit.resolution, len(fit.classes)) for member in members]
    ids = [one.arch_id for one in records]

    def scores(ranking: str, price: str, values: Sequence[float]) -> Scores:
        return Scores(task, ranking, price, 0, dict(zip(ids, map(float, values), strict=True)))

    yield scores("multiply-accumulates", "", [price.macs for price in prices])
    yield scores("parameters", "", [price.parameters for price in prices])
    plain = _one_batch(study, teacher, fit, members)
    yield scores("one batch, accuracy", "one_batch", plain[0])
    yield scores("one batch, loss", "one_batch", [-loss for loss in plain[1]])
    ordered = copy.deepcopy(teacher)
    sort_channels(ordered)
    looked_at = replace(fit, train_images=fit.test_images, train_labels=fit.test_labels)
    yield scores(EAGLE_EYE, "one_batch", _one_batch(study, ordered, looked_at, members)[0])


def _one_batch(
    study: Study, teacher: ElasticResNet, data: TaskData, members: Sequence[Architecture]
) -> tuple[list[float], list[float]]:
    """Accuracy and loss of remapped students with the batch's own statistics."""
    recipe = study.params.distillation
    rows = one_batch_rows(
        teacher, members, data, alpha=recipe.alpha, temperature=recipe.temperature, precision="float32"
    )
    return rows[:, ACCURACY].tolist(), rows[:, LOSS].tolist()


def _learned(study: Study, task: str, records: Sequence[CurveRecord], root: Path) -> Iterator[Scores]:
    """What predictors say that a pipeline has learned by the preset's own, shorter recipe."""
    from dass.multi_fidelity.checkpoint import load_multi_fidelity
    from dass.project import Project

    teacher, fit, _ = opened(study, task)
    project = Project.open(root)
    target = Fixture(
        teacher=teacher,
        card=load_card(study.teacher_file(task)),
        data=fit,
        recipe=study.params.distillation.for_images(len(fit.train_labels)),
        architectures=tuple(Architecture.from_json(one.architecture) for one in records),
        accuracies=(),
    )
    kinds: list[tuple[Kind, Path, str, str]] = []
    if project.predictor_file.exists():
        kinds.append(("dass", project.predictor_file, EMBEDDING, "embedding"))
    if project.multi_fidelity_file.exists():
        prices = {SIZE: "", NOISE: "embedding"}
        learned = load_multi_fidelity(project.multi_fidelity_file)[0].processes_
        kinds += [
            ("multi_fidelity", project.multi_fidelity_file, one.key, prices.get(one, "one_batch")) for one in learned
        ]
    with Workers(2) as workers:
        for kind, weights, proxies, price in kinds:
            made = predict(kind, weights, target, proxies, workers)
            ranking = "DaSS" if kind == "dass" else f"multi-fidelity, {Fidelity.parse(proxies).label}"
            values = dict(zip((one.arch_id for one in records), map(float, made.mean), strict=True))
            steps = 0 if kind == "dass" else Fidelity.parse(proxies).steps
            yield Scores(task, ranking, price, steps, values)


if __name__ == "__main__":
    with exit_with_line():
        typer.run(main)
