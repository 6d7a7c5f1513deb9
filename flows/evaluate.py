"""Stage `evaluate`: what the compared methods' scores are worth, as tables, pictures and runs."""

from collections.abc import Sequence
from typing import Any

import torch
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from dass.baselines.catalogue import CATALOGUE
from dass.baselines.few_shot import curve_rows
from dass.baselines.picks import searcher
from dass.baselines.scores import ScoreDatabase, Scores, coverage_rows, score_arrays, time_rows
from dass.errors import DassError
from dass.evaluation.intervals import Estimate
from dass.evaluation.page import Findings, page, pictures, tables
from dass.evaluation.plots import save, scatter
from dass.evaluation.report import CEILING, best_baseline, ceiling_rows, compare, estimate_of
from dass.evaluation.tables import MEAN, CorrelationRow, CurveRow, PickRow, write_csv
from dass.files import read_json, write_json, write_text
from dass.method_names import ABLATIONS, FEW_SHOT, REFERENCE, method_label
from dass.networks.checkpoint import TeacherCard, load_card
from dass.project import Project
from dass.search.run import load_search
from dass.space.cost import cost
from dass.students.trained import load_student
from dass.tracking.lineage import lineage
from dass.tracking.store import open_store
from dass.tracking.target_runs import MethodRun, add_correlation, has_run, log_evaluation
from flows.rank import method_seeds, scored_for_picks, target_picks
from flows.ranking import EvaluatedTarget, evaluated_targets, pick_records
from flows.runtime import logger
from flows.stage import run_stage

TEACHER = "teacher"
SIMPLE = "parameters"  # what a method must beat to have shown anything


@flow(name="evaluate")
def evaluate() -> None:
    """Hold every method's ranking against the students that were really distilled."""
    project = Project.open()
    targets = evaluated_targets(project)
    scores = [item for target in targets for item in wanted_scores(project, target)]
    found = compare_methods(project, targets, scores)
    report(project, targets, scores, found)


def wanted_scores(project: Project, target: EvaluatedTarget) -> list[Scores]:
    """A target's scores that params.yaml asks for.

    Raises:
        DassError: some are missing.
    """
    known = {scores.place: scores for scores in ScoreDatabase(project.scores).read(target.name)}
    methods = project.params.evaluation.methods
    places = [
        (name, "students", seed) for name in methods if name not in FEW_SHOT for seed in method_seeds(project, name)
    ]
    if any(name in FEW_SHOT for name in methods):
        places += [("few-shot", "few-shot", seed) for seed in method_seeds(project, REFERENCE)]
    places += [(name, "candidates", project.params.seed) for name in scored_for_picks(project)]
    missing = [place for place in places if place not in known]
    if missing:
        raise DassError(
            f"{target.name} has no scores by {method_label(missing[0][0])}, seed {missing[0][2]}: run the rank stage"
        )
    return [known[place] for place in places]


@task(cache_policy=NO_CACHE, name="compare")
def compare_methods(project: Project, targets: Sequence[EvaluatedTarget], scores: Sequence[Scores]) -> Findings:
    """Every statistic of every method on every target, with intervals."""
    block, truths = project.params.evaluation, [target.truth for target in targets]
    architectures = {target.name: target.task.architectures for target in targets}
    resamples, confidence, seed = block.bootstrap, block.confidence, project.params.seed
    rows = compare(
        truths, score_arrays(scores, architectures), resamples=resamples, confidence=confidence, seed=seed,
        budgets=block.budgets, reference=REFERENCE, simple=SIMPLE,
    )  # fmt: skip
    rows += time_rows(scores, {truth.target: truth.counts for truth in truths})
    rows += coverage_rows(scores, architectures, truths)
    rows += ceiling_rows(truths, resamples=resamples, confidence=confidence, seed=seed)
    names = [name for name in block.methods if name not in FEW_SHOT]
    return Findings(
        truths=truths,
        teachers={target.name: target.teacher.accuracy for target in targets},
        meta=[name for name in names if CATALOGUE[name].group == "meta"],
        others=[name for name in names if CATALOGUE[name].group not in ("meta", "multi_fidelity")],
        multi_fidelity=[name for name in names if CATALOGUE[name].group == "multi_fidelity"],
        reference=REFERENCE,
        variants=list(ABLATIONS),
        rows=rows,
        curve=curve_rows([point for item in scores for point in item.points]),
        picks=[row for name in project.params.targets for row in pick_rows(project, name, targets)],
        failures={
            (f"{method_label(item.method)} ({item.sample}, seed {item.seed})", item.target): item.failure
            for item in scores
            if item.failure
        },
    )


def pick_rows(project: Project, name: str, targets: Sequence[EvaluatedTarget]) -> list[PickRow]:
    """What the teacher and the distilled picks of a target reached; the search's own is distilled for every target."""
    teacher = load_card(project.target_teacher_file(name))
    _, student = load_student(project.student_file(name))
    search = load_search(project.search_file(name))
    own = PickRow(
        searcher(search), name, student.seed, student.final_accuracy, student.macs, student.params,
        student.architecture.stage_label,
    )  # fmt: skip
    rows = [teacher_row(name, teacher), own]
    for target in targets:
        if target.name == name:
            records = pick_records(project, target)
            reached = {key: record.final_accuracy for key, record in records.items()}
            reached[(student.architecture.arch_id, student.seed)] = student.final_accuracy
            seeds = [project.params.seed + index for index in range(project.params.evaluation.pick_seeds)]
            for pick in target_picks(project, target):
                architecture, price = pick.candidate.architecture, pick.candidate.cost
                rows += [
                    PickRow(
                        pick.method, name, seed, reached[(architecture.arch_id, seed)], price.macs, price.parameters,
                        architecture.stage_label,
                    )
                    for seed in seeds
                    if (architecture.arch_id, seed) in reached
                ]  # fmt: skip
    return list(dict.fromkeys(rows))


def teacher_row(name: str, card: TeacherCard) -> PickRow:
    """The teacher, beside which picks stand."""
    price = cost(card.architecture, card.resolution, len(card.classes))
    return PickRow(TEACHER, name, card.seed, card.accuracy, price.macs, price.parameters, card.architecture.stage_label)


def report(project: Project, targets: Sequence[EvaluatedTarget], scores: Sequence[Scores], found: Findings) -> None:
    """Write tables and pictures, and record them as runs."""
    folder, block = project.reports, project.params.evaluation
    write_csv(folder / "correlations.csv", CorrelationRow, found.rows)
    write_csv(folder / "picks.csv", PickRow, found.picks)
    write_csv(folder / "few_shot.csv", CurveRow, found.curve)
    made = tables(found)
    for name, table in made.items():
        write_text(folder / "tables" / f"{name}.csv", table.csv())
        write_text(folder / "tables" / f"{name}.md", table.markdown())
    devices = ", ".join(sorted({item.device for item in scores if item.device}))
    title = (
        f"Preset {project.params.preset}: {block.confidence:g}% intervals from {block.bootstrap} resamples, "
        f"{block.seeds} seed(s) of methods that learn, times on {devices}"
    )
    text = page(found, title)
    write_text(folder / "tables.md", text)
    drawn = draw(project, targets, scores, found)
    summary = metrics(project, found)
    write_json(folder / "metrics.json", summary)
    for name, row in summary["targets"].items():  # a file each: a row each in `dvc metrics show`
        write_json(folder / "metrics" / f"{name}.json", row)
    create_markdown_artifact(text, key="evaluation")
    for table in made.values():
        logger().info("\n%s", table.markdown())
    record(project, targets, found, drawn)


def draw(project: Project, targets: Sequence[EvaluatedTarget], scores: Sequence[Scores], found: Findings) -> list[str]:
    """Draw every table, and the scatter of DaSS on each target; gives the files' names under `reports/`."""
    figures = pictures(found)
    wanted = (REFERENCE, "students", project.params.seed)
    own = {item.target: item for item in scores if item.place == wanted}
    estimates = own_estimates(found)
    for target in targets:
        if target.name in estimates:
            truth, values = target.truth, own[target.name].of(target.task.architectures)
            figures[f"scatter/{target.name}.png"] = scatter(
                values, truth.accuracies, estimates[target.name], target.name
            )
    for name, figure in figures.items():
        save(figure, project.reports / name)
    return list(figures)


def own_estimates(found: Findings) -> dict[str, Estimate]:
    """SRC of DaSS by target; a target on which one of its seeds failed has none."""
    own = [row for row in found.rows if (row.method, row.metric) == (REFERENCE, "src") and row.target != MEAN]
    return {row.target: estimate_of(found.rows, REFERENCE, row.target) for row in own}


def record(project: Project, targets: Sequence[EvaluatedTarget], found: Findings, drawn: Sequence[str]) -> None:
    """One MLflow run for the evaluation with one nested run per method, and the SRC beside each search by DaSS."""
    folder = project.reports
    store = open_store(project.root)
    estimates = own_estimates(found)
    for target in targets:
        if target.name not in estimates or searcher(target.search) != REFERENCE:
            continue
        run_id = read_json(folder / "targets" / target.name / "registered.json")["run_id"]
        if has_run(store, run_id):
            picture = folder / "scatter" / f"{target.name}.png"
            add_correlation(store, run_id, src=estimates[target.name], files=[picture])
        else:
            logger().warning(
                "the tracking store does not know the search of %s: `dvc repro -f -s register@%s` files it there",
                target.name, target.name,
            )  # fmt: skip
    names = ["correlations.csv", "picks.csv", "few_shot.csv", "tables.md", *drawn]
    inputs = [project.predictor, project.scores, *(project.target_students(target.name) for target in targets)]
    log_evaluation(
        store, lineage(project.root, inputs), preset=project.params.preset, reference=REFERENCE,
        methods=[
            MethodRun(name, CATALOGUE[name].group, len(method_seeds(project, name)))
            for name in (*found.meta, *found.others, *found.multi_fidelity)
        ],
        rows=found.rows, picks=found.picks, files=[folder / name for name in names],
    )  # fmt: skip


def metrics(project: Project, found: Findings) -> dict[str, Any]:
    """What `dass report` and `dvc metrics show` show: per target SRC, spread, ceiling, best baseline, teacher, pick."""
    summary: dict[str, Any] = {"targets": {}, "torch": torch.__version__, "seed": project.params.seed}
    for name in project.params.targets:
        [teacher] = [row for row in found.picks if (row.method, row.target) == (TEACHER, name)]
        search = load_search(project.search_file(name))
        picked = next(row for row in found.picks if (row.method, row.target) == (searcher(search), name))
        summary["targets"][name] = {
            "teacher_accuracy": teacher.accuracy,
            "pick": picked.architecture,
            "pick_predicted": search.predicted,
            "pick_accuracy": picked.accuracy,
            "pick_macs": picked.macs,
            "pick_parameters": picked.parameters,
        }
    values = {(row.method, row.target, row.metric): row for row in found.rows}
    for truth in found.truths:
        spread, ceiling = truth.spread, values.get((CEILING, truth.target, "src"))
        summary["targets"][truth.target] |= {
            "accuracy_mean": spread.mean, "accuracy_deviation": spread.deviation, "accuracy_error": spread.error,
            "counts_in_mean": truth.counts, "noise_ceiling": ceiling.value if ceiling else None,
        }  # fmt: skip
        if src := values.get((REFERENCE, truth.target, "src")):
            summary["targets"][truth.target] |= {
                "src": src.value, "src_low": src.low, "src_high": src.high, "students": src.n,
            }  # fmt: skip
        if best := best_baseline(found.rows, truth.target, found.baselines):
            summary["targets"][truth.target] |= {"best_baseline": best.method, "best_baseline_src": best.value}
    if mean := values.get((REFERENCE, MEAN, "src")):
        summary |= {"src_mean": mean.value, "src_mean_low": mean.low, "src_mean_high": mean.high}
    summary["methods_src_mean"] = {
        row.method: row.value for row in found.rows if (row.target, row.metric) == (MEAN, "src")
    }
    return summary


if __name__ == "__main__":
    run_stage(evaluate)
