"""Stage `evaluate`: what the compared methods' scores are worth, as tables, pictures and runs."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from dass.baselines.comparison import method_seeds, wanted_scores
from dass.baselines.evaluated import EvaluatedTarget, evaluated_targets
from dass.baselines.findings import compare_methods, reference_estimates, summary_of
from dass.baselines.picks import searcher
from dass.baselines.scores import Scores
from dass.evaluation.page import Findings, page, pictures, tables
from dass.evaluation.plots import save, scatter
from dass.evaluation.tables import CorrelationRow, CurveRow, PickRow, write_csv
from dass.files import read_json, write_json, write_text
from dass.method_names import METHODS, REFERENCE
from dass.project import Project
from dass.tracking.lineage import lineage
from dass.tracking.store import open_store
from dass.tracking.target_runs import MethodRun, add_correlation, has_run, log_evaluation
from flows.infrastructure.runtime import logger
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device

compare = task(cache_policy=NO_CACHE, name="compare")(compare_methods)


@flow(name="evaluate")
def evaluate() -> None:
    """Hold every method's ranking against the students that were really distilled."""
    project = Project.open()
    targets = evaluated_targets(project, device())
    scores = [item for target in targets for item in wanted_scores(project, target)]
    findings = compare(project, targets, scores)
    report(project, targets, scores, findings)


def report(project: Project, targets: Sequence[EvaluatedTarget], scores: Sequence[Scores], findings: Findings) -> None:
    """Write tables and pictures, and record them as runs."""
    folder, block = project.reports, project.params.evaluation
    write_csv(folder / "correlations.csv", CorrelationRow, findings.rows)
    write_csv(folder / "picks.csv", PickRow, findings.picks)
    write_csv(folder / "few_shot.csv", CurveRow, findings.curve)
    made = tables(findings)
    for name, table in made.items():
        write_text(folder / "tables" / f"{name}.csv", table.csv())
        write_text(folder / "tables" / f"{name}.md", table.markdown())
    devices = ", ".join(sorted({item.device for item in scores if item.device}))
    title = (
        f"Preset {project.params.preset}: {block.confidence:g}% intervals from {block.bootstrap} resamples, "
        f"{block.seeds} seed(s) of methods that learn, times on {devices}"
    )
    text = page(findings, title)
    write_text(folder / "tables.md", text)
    drawn = draw(project, targets, scores, findings)
    summary = summary_of(project, findings)
    write_json(folder / "metrics.json", summary)
    for name, row in summary["targets"].items():  # a file each: a row each in `dvc metrics show`
        write_json(folder / "metrics" / f"{name}.json", row)
    create_markdown_artifact(text, key="evaluation")
    for table in made.values():
        logger().info("\n%s", table.markdown())
    record(project, targets, findings, drawn)


def draw(
    project: Project, targets: Sequence[EvaluatedTarget], scores: Sequence[Scores], findings: Findings
) -> list[str]:
    """Draw every table, and the scatter of DaSS on each target; gives the files' names under `reports/`."""
    figures = pictures(findings)
    wanted = (REFERENCE, "students", project.params.seed)
    own = {item.target: item for item in scores if item.identity == wanted}
    estimates = reference_estimates(findings)
    for target in targets:
        if target.name in estimates:
            ground_truth, values = target.ground_truth, own[target.name].of(target.task.architectures)
            figures[f"scatter/{target.name}.png"] = scatter(
                values, ground_truth.accuracies, estimates[target.name], target.name
            )
    for name, figure in figures.items():
        save(figure, project.reports / name)
    return list(figures)


def record(project: Project, targets: Sequence[EvaluatedTarget], findings: Findings, drawn: Sequence[str]) -> None:
    """One MLflow run for the evaluation with one nested run per method, and the SRC beside each search by DaSS."""
    folder = project.reports
    store = open_store(project.root)
    estimates = reference_estimates(findings)
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
            MethodRun(name, METHODS[name].group, len(method_seeds(project.params, name)))
            for name in (*findings.meta, *findings.others, *findings.multi_fidelity)
        ],
        rows=findings.rows, picks=findings.picks, files=[folder / name for name in names],
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(evaluate)
