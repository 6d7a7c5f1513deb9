"""Stage `evaluate`: predicted against true rankings of every target, and what the picks reached."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from dass.evaluation.plots import correlation_bars, save, scatter
from dass.evaluation.report import Truth, compare, estimate_of
from dass.evaluation.tables import MEAN, CorrelationRow, PickRow, correlation_table, pick_table, write_csv
from dass.files import read_json, write_json, write_text
from dass.networks.checkpoint import load_card, load_teacher
from dass.predictor.checkpoint import load_predictor
from dass.predictor.embeddings import fixed_noise
from dass.predictor.scorer import score_candidates
from dass.project import Project
from dass.search.run import Guide, adapt_to, load_search
from dass.space.architecture import Architecture
from dass.students.build import task_key
from dass.students.database import StudentDatabase
from dass.students.trained import load_student
from dass.tracking.lineage import lineage
from dass.tracking.store import open_store
from dass.tracking.target_runs import add_correlation, log_evaluation
from flows.meta_train import CHECKPOINT
from flows.runtime import device, logger
from flows.stage import run_stage
from flows.target_students import wanted_students
from flows.teacher import target_data

DASS = "DaSS"


@flow(name="evaluate")
def evaluate() -> None:
    """Hold every method's ranking against the students that were really distilled."""
    project = Project.open()
    truths = [read_truth(project, name) for name, target in project.params.targets.items() if target.evaluate]
    rows = compare_methods(project, truths)
    picks = [row for name in project.params.targets for row in read_picks(project, name)]
    report(project, truths, rows, picks)


@task(cache_policy=NO_CACHE, name="read a target's students", task_run_name="read-{target}")
def read_truth(project: Project, target: str) -> Truth:
    """A target's records under the present teacher and recipe."""
    data = target_data(project, target)
    teacher, _ = load_teacher(project.target_teacher(target) / f"{target}.safetensors")
    key = task_key(data, teacher, project.params.distillation.for_images(len(data.train_labels)), device())
    jobs = wanted_students(project, target, project.params.students.per_target)
    wanted = {(job.architecture.arch_id, job.seed) for job in jobs}
    records = [
        record
        for record in StudentDatabase(project.target_students(target)).read(key)
        if (record.arch_id, record.seed) in wanted
    ]
    return Truth.of(target, records, project.params.seed, len(data.test_labels))


@task(cache_policy=NO_CACHE, name="score and compare")
def compare_methods(project: Project, truths: Sequence[Truth]) -> list[CorrelationRow]:
    """Every method's scores of the same students, and how well they rank them."""
    scores: dict[str, dict[str, NDArray[np.float64]]] = {DASS: {}, "MACs": {}, "parameters": {}, "depth": {}}
    for truth in truths:
        scores[DASS][truth.target] = predict(project, truth)
        scores["MACs"][truth.target], scores["parameters"][truth.target] = truth.sizes.T
        depths = [sum(Architecture.from_json(record.architecture).depths) for record in truth.records]
        scores["depth"][truth.target] = np.array(depths, dtype=np.float64)
    block = project.params.evaluation
    rows = compare(truths, scores, resamples=block.bootstrap, confidence=block.confidence, seed=project.params.seed)
    (project.reports / "scatter").mkdir(parents=True, exist_ok=True)
    for truth in truths:
        src = estimate_of(rows, DASS, truth.target)
        picture = scatter(scores[DASS][truth.target], truth.accuracies, src, truth.target)
        save(picture, project.reports / "scatter" / f"{truth.target}.png")
    return rows


def predict(project: Project, truth: Truth) -> NDArray[np.float64]:
    """The adapted predictor's scores of a target's students, [n] percent."""
    predictor, card = load_predictor(project.predictor / CHECKPOINT, device())
    teacher, about = load_teacher(project.target_teacher(truth.target) / f"{truth.target}.safetensors")
    guide = Guide(truth.target, teacher.to(device()), about.teacher_id, about.accuracy, about.resolution)
    architectures = [Architecture.from_json(record.architecture) for record in truth.records]
    noise = fixed_noise(card.resolution, card.noise_seed)
    return score_candidates(adapt_to(predictor, card, guide), teacher, architectures, card.space, noise)


def read_picks(project: Project, target: str) -> list[PickRow]:
    """What the search's pick reached, and the teacher beside it."""
    _, student = load_student(project.distilled(target) / f"{target}.safetensors")
    return [
        PickRow(
            DASS, target, student.seed, student.final_accuracy, student.macs, student.params,
            student.architecture.stage_label,
        )
    ]  # fmt: skip


def report(project: Project, truths: Sequence[Truth], rows: list[CorrelationRow], picks: list[PickRow]) -> None:
    """Write tables and pictures, and record them as one run."""
    folder, block = project.reports, project.params.evaluation
    write_csv(folder / "correlations.csv", rows)
    write_csv(folder / "picks.csv", picks)
    tables = [
        correlation_table(rows, "src", f"SRC with {block.confidence:g}% intervals, preset {project.params.preset}")
    ]
    tables.append(pick_table(picks, "Distilled picks"))
    text = "\n".join(table.markdown() for table in tables)
    write_text(folder / "tables.md", text)
    save(correlation_bars([row for row in rows if row.metric == "src"], "SRC"), folder / "src.png")
    found = metrics(project, truths, rows, picks)
    write_json(folder / "metrics.json", found)
    for name, row in found["targets"].items():  # a file each: a row each in `dvc metrics show`
        write_json(folder / "metrics" / f"{name}.json", row)
    create_markdown_artifact(text, key="evaluation")
    for table in tables:
        logger().info("\n%s", table.markdown())
    src = {truth.target: estimate_of(rows, DASS, truth.target) for truth in truths}
    names = ["correlations.csv", "picks.csv", "tables.md", "src.png", *(f"scatter/{t.target}.png" for t in truths)]
    inputs = [project.predictor, *(project.target_students(truth.target) for truth in truths)]
    store = open_store(project.root)
    for target, estimate in src.items():
        run_id = read_json(folder / "targets" / target / "registered.json")["run_id"]
        add_correlation(store, run_id, src=estimate, files=[folder / "scatter" / f"{target}.png"])
    log_evaluation(
        store, lineage(project.root, inputs), preset=project.params.preset, src=src, rows=rows,
        files=[folder / name for name in names],
    )  # fmt: skip


def metrics(project: Project, truths: Sequence[Truth], rows: list[CorrelationRow], picks: list[PickRow]) -> dict:
    """What `dass report` and `dvc metrics show` show: per target SRC, spread, noise ceiling, teacher and pick."""
    block = project.params.evaluation
    found: dict = {"targets": {}, "torch": torch.__version__, "seed": project.params.seed}
    for name in project.params.targets:
        teacher = load_card(project.target_teacher(name) / f"{name}.safetensors")
        [picked] = [row for row in picks if row.target == name]
        search = load_search(project.search(name) / "search.json")
        found["targets"][name] = {
            "teacher_accuracy": teacher.accuracy,
            "pick": picked.architecture,
            "pick_predicted": search.pick.predicted,
            "pick_accuracy": picked.accuracy,
            "pick_macs": picked.macs,
            "pick_parameters": picked.parameters,
        }
    for truth in truths:
        src, spread = estimate_of(rows, DASS, truth.target), truth.spread
        ceiling = truth.ceiling(resamples=block.bootstrap, confidence=block.confidence, seed=project.params.seed)
        found["targets"][truth.target] |= {
            "src": src.value, "src_low": src.low, "src_high": src.high, "students": src.n,
            "accuracy_mean": spread.mean, "accuracy_deviation": spread.deviation, "accuracy_error": spread.error,
            "counts_in_mean": truth.counts, "noise_ceiling": ceiling.single.value if ceiling else None,
        }  # fmt: skip
    mean = [row for row in rows if (row.method, row.target, row.metric) == (DASS, MEAN, "src")]
    if mean:
        found |= {"src_mean": mean[0].value, "src_mean_low": mean[0].low, "src_mean_high": mean[0].high}
    return found


if __name__ == "__main__":
    run_stage(evaluate)
