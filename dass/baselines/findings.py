"""What a comparison came to: every statistic of every method on every target, and the summary in metrics.json."""

from collections.abc import Sequence
from typing import Any

import torch

from dass.baselines.comparison import target_picks
from dass.baselines.evaluated import EvaluatedTarget
from dass.baselines.methods.few_shot import curve_rows
from dass.baselines.picks import searcher
from dass.baselines.scores import Scores, coverage_rows, score_arrays, time_rows
from dass.evaluation.intervals import Estimate
from dass.evaluation.page import Findings
from dass.evaluation.report import CEILING, best_baseline, ceiling_rows, compare, estimate_of
from dass.evaluation.tables import MEAN, PickRow
from dass.method_names import ABLATIONS, FEW_SHOT, METHODS, REFERENCE, method_label
from dass.networks.checkpoint import TeacherCard, load_card
from dass.project import Project
from dass.search.result import load_search
from dass.space.cost import cost
from dass.students.trained import load_student

TEACHER = "teacher"
SIMPLE = "parameters"  # what a method must beat to have shown anything


def compare_methods(project: Project, targets: Sequence[EvaluatedTarget], scores: Sequence[Scores]) -> Findings:
    """Every statistic of every method on every target, with intervals.

    Args:
        project: gives the settings, and what teachers and picks have reached.
        targets: targets whose students were distilled.
        scores: that params.yaml asks for, of all targets.
    """
    block, ground_truths = project.params.evaluation, [target.ground_truth for target in targets]
    architectures = {target.name: target.task.architectures for target in targets}
    resamples, confidence, seed = block.bootstrap, block.confidence, project.params.seed
    rows = compare(
        ground_truths, score_arrays(scores, architectures), resamples=resamples, confidence=confidence, seed=seed,
        budgets=block.budgets, reference=REFERENCE, simple=SIMPLE,
    )  # fmt: skip
    rows += time_rows(scores, {ground_truth.target: ground_truth.counts for ground_truth in ground_truths})
    rows += coverage_rows(scores, architectures, ground_truths)
    rows += ceiling_rows(ground_truths, resamples=resamples, confidence=confidence, seed=seed)
    names = [name for name in block.methods if name not in FEW_SHOT]
    return Findings(
        ground_truths=ground_truths,
        teachers={target.name: target.task.teacher_accuracy for target in targets},
        meta=[name for name in names if METHODS[name].group == "meta"],
        others=[name for name in names if METHODS[name].group not in ("meta", "multi_fidelity")],
        multi_fidelity=[name for name in names if METHODS[name].group == "multi_fidelity"],
        reference=REFERENCE,
        variants=list(ABLATIONS),
        rows=rows,
        curve=curve_rows([point for item in scores for point in item.points]),
        picks=[row for name in project.params.targets for row in _pick_rows(project, name, targets)],
        failures={
            (f"{method_label(item.method)} ({item.sample}, seed {item.seed})", item.target): item.failure
            for item in scores
            if item.failure
        },
    )


def _pick_rows(project: Project, name: str, targets: Sequence[EvaluatedTarget]) -> list[PickRow]:
    """What the teacher and the distilled picks of a target reached; the search's own is distilled for every target."""
    teacher = load_card(project.target_teacher_file(name))
    _, student = load_student(project.student_file(name))
    search = load_search(project.search_file(name))
    own = PickRow(
        searcher(search), name, student.seed, student.final_accuracy, student.macs, student.params,
        student.architecture.stage_label,
    )  # fmt: skip
    rows = [_teacher_row(name, teacher), own]
    for target in targets:
        if target.name == name:
            reached = {key: record.final_accuracy for key, record in target.distilled().items()}
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


def _teacher_row(name: str, card: TeacherCard) -> PickRow:
    """The teacher, beside which picks stand."""
    price = cost(card.architecture, card.resolution, len(card.classes))
    return PickRow(TEACHER, name, card.seed, card.accuracy, price.macs, price.parameters, card.architecture.stage_label)


def reference_estimates(findings: Findings) -> dict[str, Estimate]:
    """SRC of DaSS by target; a target on which one of its seeds failed has none."""
    own = [row for row in findings.rows if (row.method, row.metric) == (REFERENCE, "src") and row.target != MEAN]
    return {row.target: estimate_of(findings.rows, REFERENCE, row.target) for row in own}


def summary_of(project: Project, findings: Findings) -> dict[str, Any]:
    """What `dass report` and `dvc metrics show` show: per target SRC, spread, ceiling, best baseline, teacher, pick."""
    summary: dict[str, Any] = {"targets": {}, "torch": torch.__version__, "seed": project.params.seed}
    for name in project.params.targets:
        [teacher] = [row for row in findings.picks if (row.method, row.target) == (TEACHER, name)]
        search = load_search(project.search_file(name))
        picked = next(row for row in findings.picks if (row.method, row.target) == (searcher(search), name))
        summary["targets"][name] = {
            "teacher_accuracy": teacher.accuracy,
            "pick": picked.architecture,
            "pick_predicted": search.predicted,
            "pick_accuracy": picked.accuracy,
            "pick_macs": picked.macs,
            "pick_parameters": picked.parameters,
        }
    values = {(row.method, row.target, row.metric): row for row in findings.rows}
    for ground_truth in findings.ground_truths:
        spread, ceiling = ground_truth.spread, values.get((CEILING, ground_truth.target, "src"))
        summary["targets"][ground_truth.target] |= {
            "accuracy_mean": spread.mean,
            "accuracy_deviation": spread.deviation,
            "accuracy_error": spread.error,
            "counts_in_mean": ground_truth.counts,
            "noise_ceiling": ceiling.value if ceiling else None,
        }
        if src := values.get((REFERENCE, ground_truth.target, "src")):
            summary["targets"][ground_truth.target] |= {
                "src": src.value,
                "src_low": src.low,
                "src_high": src.high,
                "students": src.n,
            }
        if best := best_baseline(findings.rows, ground_truth.target, findings.baselines):
            summary["targets"][ground_truth.target] |= {"best_baseline": best.method, "best_baseline_src": best.value}
    if mean := values.get((REFERENCE, MEAN, "src")):
        summary |= {"src_mean": mean.value, "src_mean_low": mean.low, "src_mean_high": mean.high}
    summary["methods_src_mean"] = {
        row.method: row.value for row in findings.rows if (row.target, row.metric) == (MEAN, "src")
    }
    return summary
