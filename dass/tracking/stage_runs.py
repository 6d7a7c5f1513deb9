"""What the stages of the source side record: datasets, teachers, student-accuracy databases, the predictor.

Each function returns the id of the run.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import pandas as pd

from dass.config import Block, Predictor, TeacherRecipe
from dass.files import file_id
from dass.students.record import StudentRecord
from dass.students.record_file import row_of
from dass.tracking.lineage import Lineage
from dass.tracking.runs import Curve, Input, RunContent, Scalar, record_run
from dass.tracking.store import Store

if TYPE_CHECKING:
    from dass.datasets.check import CheckReport
    from dass.networks.checkpoint import TeacherCard
    from dass.predictor.checkpoint import PredictorCard
    from dass.predictor.meta_run import Validation
    from dass.training.member import EpochEvaluation


def log_dataset(store: Store, lineage: Lineage, *, report: "CheckReport", data_id: str, contact_sheet: Path) -> str:
    """Records the check of a packed dataset: counts, findings, images of each class."""
    metrics = {
        "classes": len(report.counts),
        "train_images": sum(count.train for count in report.counts),
        "test_images": sum(count.test for count in report.counts),
        "duplicates": len(report.duplicates),
        "repeated_train": report.repeated_train,
        "repeated_test": report.repeated_test,
        "skipped": len(report.skipped),
    }
    content = RunContent(
        kind="datasets",
        name=report.name,
        lineage=lineage,
        params={"resolution": report.resolution, "split_rule": report.split_rule},
        metrics=metrics,
        files=(contact_sheet,),
        table=pd.DataFrame([asdict(count) for count in report.counts]),
        inputs=(Input(report.name, data_id, "training"),),
        tags={"data_id": data_id},
    )
    return record_run(store, content)


def log_teacher(
    store: Store,
    lineage: Lineage,
    *,
    card: "TeacherCard",
    recipe: TeacherRecipe | None = None,
    evaluations: Sequence["EpochEvaluation"] = (),
    losses: Sequence[float] = (),
    files: Sequence[Path] = (),
) -> str:
    """Records a teacher.

    Args:
        store: tracking store (runs and registry) that is written to.
        lineage: code and data that it came from.
        card: card with the facts about it.
        recipe: recipe of its training; None for an imported teacher.
        evaluations: evaluations of the training, in the order of their epochs.
        losses: mean training loss of each epoch.
        files: paths of its files: the card, or more.
    """
    evaluated = tuple(point.epoch for point in evaluations)
    curves = (
        Curve("test/accuracy", evaluated, tuple(point.accuracy for point in evaluations)),
        Curve("test/loss", evaluated, tuple(point.loss for point in evaluations)),
        Curve("train/loss", tuple(range(1, len(losses) + 1)), tuple(losses)),
    )
    content = RunContent(
        kind="teachers",
        name=card.task,
        lineage=lineage,
        params={
            "task": card.task,
            "classes": len(card.classes),
            "resolution": card.resolution,
            "architecture": card.architecture.stage_label,
            "device": card.device,
            "seed": card.seed,
            **(flat(recipe) if recipe else {}),
        },
        metrics={"accuracy": card.accuracy, "loss": card.loss, "seconds": card.seconds},
        curves=curves,
        files=tuple(files),
        inputs=(Input(card.task, card.data_id, "training"),),
        tags={"teacher_id": card.teacher_id, "data_id": card.data_id, "recipe_id": card.recipe_id},
    )
    return record_run(store, content)


def log_students(store: Store, lineage: Lineage, *, task: str, records: Sequence[StudentRecord]) -> str:
    """Records the student-accuracy database of a task: one table, one row per student, and what it amounts to.

    Failed students are in the table and counted, but in no mean.

    Args:
        store: tracking store (runs and registry) that is written to.
        lineage: code and data that it came from.
        task: name of the task.
        records: student records of one task, teacher and recipe.
    """
    ordered = sorted(records, key=lambda record: (record.arch_id, record.seed))
    accuracies = [record.final_accuracy for record in ordered if not record.failure]
    metrics = {
        "students": len(accuracies),
        "failed": len(ordered) - len(accuracies),
        "seconds": sum(record.seconds for record in ordered),
    }
    if accuracies:
        metrics |= {
            "accuracy_mean": fmean(accuracies),
            "accuracy_std": stdev(accuracies) if len(accuracies) > 1 else 0.0,
            "accuracy_best": max(accuracies),
            "accuracy_worst": min(accuracies),
        }
    first = ordered[0] if ordered else None
    content = RunContent(
        kind="students",
        name=task,
        lineage=lineage,
        params={"task": task},
        metrics=metrics,
        table=pd.DataFrame([row_of(record) for record in ordered]),
        inputs=(Input(task, first.data_id, "training"),) if first else (),
        tags={"teacher_id": first.teacher_id, "recipe_id": first.recipe_id, "data_id": first.data_id} if first else {},
    )
    return record_run(store, content)


def log_predictor(
    store: Store,
    lineage: Lineage,
    *,
    card: "PredictorCard",
    settings: Predictor,
    history: Sequence["Validation"],
    checkpoint: Path,
) -> str:
    """Records a meta-learned predictor: loss and validation SRC over episodes, and the checkpoint with its card.

    Args:
        store: tracking store (runs and registry) that is written to.
        lineage: code and data that it came from.
        card: card with the facts about it.
        settings: block of params.yaml.
        history: every look at the validation tasks.
        checkpoint: the safetensors file; its JSON lies beside it. The inner rates are part of it.
    """
    episodes = tuple(look.episode for look in history)
    content = RunContent(
        kind="predictor",
        name="dass-predictor",
        lineage=lineage,
        params={
            "training": ", ".join(card.training),
            "validation": ", ".join(card.validation),
            "students": card.students,
            "seed": card.seed,
            "precision": card.precision,
            "device": card.device,
            **flat(settings),
        },
        metrics={
            "validation_src": card.validation_src,
            "best_episode": card.best_episode,
            "seconds": card.seconds,
        },
        curves=(
            Curve("train/loss", episodes, tuple(look.loss for look in history)),
            Curve("validation/src", episodes, tuple(look.src for look in history)),
        ),
        files=(checkpoint, checkpoint.with_suffix(".json")),
        tags={"predictor_id": file_id(checkpoint)},
    )
    return record_run(store, content)


def flat(block: Block) -> dict[str, Scalar]:
    """A block of params.yaml as run parameters, nested names joined with a dot."""
    scalars: dict[str, Scalar] = {}
    for name, value in block:
        if isinstance(value, Block):
            scalars |= {f"{name}.{inner}": scalar for inner, scalar in flat(value).items()}
        else:
            scalars[name] = value
    return scalars
