"""What the stages of the target side record: searches and evaluations. Each function returns the id of the run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import pandas as pd

from dass.evaluation.intervals import Estimate
from dass.evaluation.tables import MEAN, CorrelationRow, PickRow
from dass.files import content_id
from dass.networks.checkpoint import TeacherCard
from dass.search.candidates import Candidate
from dass.search.result import SearchResult
from dass.tracking.lineage import Lineage
from dass.tracking.runs import Input, RunContent, record_run
from dass.tracking.store import Store


def log_target(
    store: Store,
    lineage: Lineage,
    *,
    teacher: TeacherCard,
    found: SearchResult,
    top: int,
    seconds: float | None = None,
    files: Sequence[Path] = (),
) -> str:
    """Records a search on a target.

    Args:
        store: tracking store (runs and registry) that is written to.
        lineage: code and data that it came from.
        teacher: teacher of the target.
        found: the search.
        top: how many of the ranking to keep; they are the run's table.
        seconds: seconds of all that led to the student; None for those of the search, where they are known.
        files: the picture of the Pareto front, and whatever else belongs to the search.
    """
    ranking, pick, constraints = found.ranking[:top], found.pick, found.constraints
    seconds = seconds or found.seconds
    content = RunContent(
        kind="targets",
        name=teacher.task,
        lineage=lineage,
        params={
            "target": teacher.task,
            "candidates": len(found.ranking),
            "top": len(ranking),
            "max_macs": constraints.max_macs,
            "max_params": constraints.max_params,
            "min_macs": constraints.min_macs,
            "min_params": constraints.min_params,
            **constraints.further,
            "architecture": pick.architecture.stage_label,
        },
        metrics={
            "teacher_accuracy": teacher.accuracy,
            **({"predicted_accuracy": pick.predicted} if found.predictor_id else {}),
            "macs": pick.cost.macs,
            "parameters": pick.cost.parameters,
            **({"seconds": seconds} if seconds else {}),
            **({} if found.latency is None else {f"latency_ms_batch{constraints.latency_batch}": found.latency}),
        },
        files=tuple(files),
        table=pd.DataFrame([_row(position, candidate) for position, candidate in enumerate(ranking, start=1)]),
        inputs=(Input(teacher.task, teacher.data_id, "evaluation"),),
        tags={
            "teacher_id": teacher.teacher_id,
            "predictor_id": found.predictor_id,
            "data_id": teacher.data_id,
            "picked_arch_id": pick.architecture.arch_id,  # what is filed may be another: `student_arch_id`
        },
    )
    return record_run(store, content)


def has_run(store: Store, run_id: str) -> bool:
    """Whether the store has a run: one that was recorded elsewhere, or deleted, it has not.

    Raises:
        DassError: the store failed.
    """
    from mlflow.exceptions import MlflowException

    with store.errors(f"look up run {run_id}"):
        try:
            run = store.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
    return bool(run.info.lifecycle_stage == "active")


def add_correlation(store: Store, run_id: str, *, src: Estimate, files: Sequence[Path] = ()) -> None:
    """Adds to a target's run what an evaluation found later; adding it again changes nothing.

    Args:
        store: tracking store (runs and registry) that is written to.
        run_id: id of the run that `log_target` recorded.
        src: Spearman correlation of predicted and actual ranking.
        files: the scatter of predicted against actual accuracy.

    Raises:
        DassError: the store failed.
    """
    with store.errors(f"add the correlation to run {run_id}"):
        metrics = store.client.get_run(run_id).data.metrics
        for name, value in _estimate("src", src).items():
            if metrics.get(name) != value:
                store.client.log_metric(run_id, name, value)
        for path in files:
            store.client.log_artifact(run_id, str(path))


def add_student(store: Store, run_id: str, *, accuracy: float, files: Sequence[Path] = ()) -> None:
    """Adds a distilled student to the run that it came from; adding it again changes nothing.

    Args:
        store: tracking store (runs and registry) that is written to.
        run_id: id of the MLflow run.
        accuracy: percent of the test images at the end of distillation; metric `distilled_accuracy`.
        files: paths of the student's weights and card.

    Raises:
        DassError: the store failed.
    """
    with store.errors(f"add the student to run {run_id}"):
        if store.client.get_run(run_id).data.metrics.get("distilled_accuracy") != accuracy:
            store.client.log_metric(run_id, "distilled_accuracy", accuracy)
        for path in files:
            store.client.log_artifact(run_id, str(path))


@dataclass(frozen=True)
class MethodRun:
    """A compared method, as its run shows it.

    Attributes:
        name: name of the method.
        group: `meta`, `zero-cost`, `trivial` or `multi_fidelity`.
        seeds: how many of them its numbers are the mean of.
    """

    name: str
    group: str
    seeds: int


def log_evaluation(
    store: Store,
    lineage: Lineage,
    *,
    preset: str,
    reference: str,
    methods: Sequence[MethodRun],
    rows: Sequence[CorrelationRow],
    picks: Sequence[PickRow] = (),
    files: Sequence[Path] = (),
) -> str:
    """Records the comparison over all targets: a run, and nested in it one for each method.

    The outer run has the reference's metrics and every file; a method's run has `<metric>/<target>` with intervals,
    so that MLflow's compare view lays methods side by side.

    Args:
        store: tracking store (runs and registry) that is written to.
        lineage: code and data that it came from.
        preset: name of the preset of params.yaml.
        reference: the method that the others are compared with.
        methods: methods, in the order of the tables.
        rows: all methods on all targets; the outer run's table.
        picks: distilled picks; their mean accuracy is the metric `pick_accuracy/<target>`.
        files: pictures and tables.

    Returns:
        The id of the outer run.
    """
    targets = sorted({row.target for row in rows if row.target != MEAN})
    timeless = [asdict(row) for row in rows if "seconds" not in row.metric]
    common = {"preset": preset, "targets": ", ".join(targets)}
    outer = record_run(
        store,
        RunContent(
            kind="evaluation",
            name=preset,
            lineage=lineage,
            params=common | {"methods": len(methods)},
            metrics=_method_metrics(reference, rows, picks),
            files=tuple(files),
            table=pd.DataFrame([asdict(row) for row in rows]) if rows else None,
            tags={"results": content_id([timeless, [asdict(pick) for pick in picks]])},
        ),
    )
    for method in methods:
        record_run(
            store,
            RunContent(
                kind="evaluation",
                name=method.name,
                lineage=lineage,
                params=common | {"method": method.name, "group": method.group, "seeds": method.seeds},
                metrics=_method_metrics(method.name, rows, picks),
                tags={"mlflow.parentRunId": outer, "method": method.name},
            ),
        )
    return outer


def _method_metrics(method: str, rows: Sequence[CorrelationRow], picks: Sequence[PickRow]) -> dict[str, float]:
    """A method's numbers: `<metric>/<target>` and, of the SRC and its difference to the reference, the interval."""
    metrics: dict[str, float] = {}
    for row in rows:
        if row.method == method:
            metrics[f"{row.target}/{row.metric}" if "seconds" in row.metric else f"{row.metric}/{row.target}"] = (
                row.value
            )
            if row.metric in ("src", "src_difference"):
                metrics |= {f"{row.metric}/{row.target}_low": row.low, f"{row.metric}/{row.target}_high": row.high}
    by_target: dict[str, list[float]] = {}
    for pick in picks:
        if pick.method == method:
            by_target.setdefault(pick.target, []).append(pick.accuracy)
    return metrics | {f"pick_accuracy/{target}": fmean(values) for target, values in by_target.items()}


def _estimate(name: str, estimate: Estimate) -> dict[str, float]:
    """An estimate as metrics: `<name>`, `<name>_low`, `<name>_high`, `<name>_students`."""
    return {
        name: estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
        f"{name}_students": float(estimate.n),
    }


def _row(position: int, candidate: Candidate) -> dict[str, str | int | float]:
    return {
        "place": position,
        "architecture": candidate.architecture.stage_label,
        "arch_id": candidate.architecture.arch_id,
        "predicted_accuracy": candidate.predicted,
        "macs": candidate.cost.macs,
        "parameters": candidate.cost.parameters,
    }
