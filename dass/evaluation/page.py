"""The tables of an evaluation as one Markdown page: what was compared, on what, and which baseline is best where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from dass.evaluation.plots import few_shot_curve, method_bars, pick_scatter, price_curve
from dass.evaluation.report import CEILING, SPREAD_RULE, GroundTruth, best_baseline
from dass.evaluation.tables import (
    MEAN,
    SECONDS,
    CorrelationRow,
    CurveRow,
    PickRow,
    Table,
    correlation_table,
    curve_table,
    multi_fidelity_table,
    pick_table,
)
from dass.method_names import method_label

MARKS = (
    "SRC of scores and accuracies at the end of distillation, [interval]. `*`: some scores were not finite and rank "
    "last; `=`: all were equal; `†`: the students differ too little there for a ranking, and the mean is without it; "
    "`-`: the method has no scores there, or no mean."
)

CAUTION = (
    "The best of many is chosen after the fact, so its lead is overstated; the intervals are of its own ranking only."
)


@dataclass(frozen=True)
class Findings:
    """Everything an evaluation found.

    Attributes:
        ground_truths: accuracies of the targets' students.
        teachers: accuracy of each target's teacher in percent.
        meta: methods of Table 2, in order.
        others: methods of Table 3, in order.
        multi_fidelity: methods of the multi-fidelity predictor, cheapest first; these are no baselines.
        reference: the method that the others are held against, one of `meta`.
        variants: those of `meta` that are the reference with parts left out, and no baselines.
        rows: rows of `reports/correlations.csv`.
        curve: points of Figure 3.
        picks: rows of `reports/picks.csv`.
        failures: by (method and what it was to score, target) why there are no scores.
    """

    ground_truths: Sequence[GroundTruth]
    teachers: Mapping[str, float]
    meta: Sequence[str]
    others: Sequence[str]
    multi_fidelity: Sequence[str]
    reference: str
    variants: Sequence[str]
    rows: Sequence[CorrelationRow]
    curve: Sequence[CurveRow]
    picks: Sequence[PickRow]
    failures: Mapping[tuple[str, str], str]

    @property
    def baselines(self) -> list[str]:
        """What the reference must beat."""
        return [name for name in (*self.meta, *self.others) if name != self.reference and name not in self.variants]


def tables(findings: Findings) -> dict[str, Table]:
    """By file name, in the order of the page; multi-fidelity methods and Fig. 3 only where there are any."""
    ceiling = [CEILING] if any(row.method == CEILING for row in findings.rows) else []
    common = {"difference": "src_difference", "best": "src_best", "seconds": SECONDS}
    made = {
        "targets": target_table(findings),
        "table-2": correlation_table(
            findings.rows, "src", "Table 2. Meta-learned predictors: SRC on unseen targets",
            methods=[*findings.meta, *ceiling], **common,
        ),
        "table-3": correlation_table(
            findings.rows, "src", "Table 3. Methods without source tasks: SRC on unseen targets",
            methods=[findings.reference, *findings.others, *ceiling], **common,
        ),
    }  # fmt: skip
    if findings.multi_fidelity:
        made["multi_fidelity"] = correlation_table(
            findings.rows,
            "src",
            "The multi-fidelity predictor: SRC on unseen targets",
            methods=[findings.reference, *findings.multi_fidelity, *ceiling],
            **common,
        )
        if best := best_baseline(findings.rows, MEAN, findings.baselines):
            beside = dict.fromkeys([findings.reference, "parameters", best.method])
            made["multi-fidelity-means"] = multi_fidelity_table(
                findings.rows,
                [*findings.multi_fidelity, *beside],
                "The multi-fidelity predictor: what each proxy adds, on average",
            )
    if findings.curve:
        made["figure-3"] = curve_table(findings.curve, "Figure 3. Adapting to students that were really distilled")
    made["table-4"] = pick_table(findings.picks, "Tables 4, 5 and 7. Picks among the search's candidates, distilled")
    return made


def pictures(findings: Findings) -> dict[str, Figure]:
    """By file name under `reports/`: of Tables 2 to 4, of multi-fidelity where there are means, and of Fig. 3."""
    made = {
        "figures/table-2.png": method_bars(findings.rows, "src", findings.meta, "Meta-learned predictors"),
        "figures/table-3.png": method_bars(
            findings.rows, "src", [findings.reference, *findings.others], "Methods without source tasks"
        ),
        "figures/table-4.png": pick_scatter(findings.picks, "Picks, distilled"),
    }
    if findings.multi_fidelity and best_baseline(findings.rows, MEAN, findings.baselines):
        made["figures/multi_fidelity.png"] = price_curve(
            findings.rows, findings.multi_fidelity, "What a better ranking costs"
        )
    if findings.curve:
        made["figures/figure-3.png"] = few_shot_curve(findings.curve, "Adapting to distilled students (star: guide)")
    return made


def page(findings: Findings, title: str) -> str:
    """The whole page."""
    made = tables(findings)
    parts = [f"# {title}", made["targets"].markdown(), MARKS, made["table-2"].markdown(), made["table-3"].markdown()]
    parts += ["**The best baseline on each target**", "\n".join(f"- {line}" for line in best_lines(findings)), CAUTION]
    parts += [
        table.markdown()
        for name, table in made.items()
        if name in ("multi_fidelity", "multi-fidelity-means", "figure-3", "table-4")
    ]
    if findings.failures:
        lines = [f"- {method} on {target}: {why}" for (method, target), why in findings.failures.items()]
        parts += ["**Without scores**", "\n".join(lines)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def best_lines(findings: Findings) -> list[str]:
    """For each target and the mean, which baseline has the highest SRC and how it stands to the reference."""
    lines = []
    for target in (*(ground_truth.target for ground_truth in findings.ground_truths), MEAN):
        best = best_baseline(findings.rows, target, findings.baselines)
        own = best_baseline(findings.rows, target, [findings.reference])
        if best is None or own is None:
            continue
        [gap] = [
            row
            for row in findings.rows
            if (row.method, row.target, row.metric) == (best.method, target, "src_difference")
        ]
        where = "mean over targets" if target == MEAN else f"{target}{'' if best.counts else '†'}"
        lines.append(
            f"{where}: {method_label(best.method)}, SRC {best.value:.2f} [{best.low:.2f}, {best.high:.2f}]; "
            f"{method_label(findings.reference)} {own.value:.2f}, difference {gap.value:+.2f} "
            f"[{gap.low:+.2f}, {gap.high:+.2f}]: {_verdict(gap)}"
        )
    return lines


def target_table(findings: Findings) -> Table:
    """Whether the students of each target differ by more than its test set can tell, and the noise ceiling."""
    ceilings = {row.target: row for row in findings.rows if (row.method, row.metric) == (CEILING, "src")}
    body = []
    for ground_truth in findings.ground_truths:
        spread, ceiling = ground_truth.spread, ceilings.get(ground_truth.target)
        body.append(
            (
                ground_truth.target + ("" if ground_truth.counts else "†"),
                str(len(ground_truth.records)),
                f"{findings.teachers[ground_truth.target]:.2f}",
                f"{spread.mean:.2f}",
                f"{spread.deviation:.2f}",
                f"{spread.error:.2f}",
                "yes" if ground_truth.counts else "no",
                f"{ceiling.value:.2f} [{ceiling.low:.2f}, {ceiling.high:.2f}] (n={ceiling.n})" if ceiling else "-",
            )
        )
    columns = (
        "target", "students", "teacher %", "mean %", "deviation", "test error", "in the mean", "noise ceiling",
    )  # fmt: skip
    note = (
        f"A target enters means where the students' accuracies deviate by at least {SPREAD_RULE:g} times the standard "
        "error that its number of test images gives one accuracy, both in points."
    )
    return Table("Targets", columns, tuple(body), (note,))


def _verdict(gap: CorrelationRow) -> str:
    if gap.low > 0:
        return "better"
    return "worse" if gap.high < 0 else "not told apart"
