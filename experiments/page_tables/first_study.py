"""Tables of the first study, which is of version 0.1, and of its longer trainings."""

import csv
import json
from pathlib import Path
from statistics import mean

from experiments.page_tables.markdown import table
from experiments.page_tables.paths import STUDIES

FIRST = STUDIES / "small-first"
COUNTING = ("cifar10", "plantvillage", "rsscn7", "stanford_cars")  # targets that enter the mean
TARGETS = ("cifar10", "quickdraw8", "dtd", "plantvillage", "rsscn7", "stanford_cars")

# The study is of version 0.1: label of today, name in its files.
FIDELITIES = {
    "size": "free",
    "noise": "noise",
    "one_batch": "start",
    "steps5": "sprint 5",
    "steps10": "sprint 10",
    "steps20": "sprint 20",
}
MULTI_FIDELITY = {f"multi-fidelity, `{key}`": f"ladder: {old}" for key, old in FIDELITIES.items()}
RESULTS = {
    "the paper's predictor (`dass`)": "DaSS",
    "the same without the student's response to noise": "DaSS without student",
    "TANS (a rival in the paper)": "TANS",
    "number of parameters": "parameters",
    "multi-fidelity predictor, size and shape alone": "ladder: free",
    "multi-fidelity predictor, 20 steps of training": "ladder: sprint 20",
}
METHODS = {
    "DaSS": "DaSS", "DaSS without guide": "DaSS without guide", "DaSS without student": "DaSS without student",
    "MAML": "MAML", "MetaD2A": "MetaD2A", "TANS": "TANS", "parameters": "parameters", "MACs": "MACs",
    "synflow": "synflow", "remapped accuracy": "remapped accuracy",
    "one-batch accuracy": "remapped accuracy, new statistics", **MULTI_FIDELITY,
}  # fmt: skip
PICKS = {
    "teacher": "teacher",
    "multi-fidelity, `noise`": "ladder: noise",
    "MetaD2A": "MetaD2A",
    "TANS": "TANS",
    "random": "random",
    "DaSS": "DaSS",
    "parameters": "parameters",
}
LENGTHS = {
    "parameters": "log_parameters",
    "last stage's likeness": "similarity_4",
    "loss after 20 steps": "sprint_20_kd_loss",
    **MULTI_FIDELITY,
}


def results() -> str:
    """SRC of a few methods, by target."""
    found = _statistics(FIRST / "correlations.csv")
    return table(
        ("method", *COUNTING, "mean"),
        [
            (label, *(_interval(found[name, target, "src"]) for target in (*COUNTING, "mean")))
            for label, name in RESULTS.items()
        ],
    )


def methods() -> str:
    """Statistics of many methods, as means over targets."""
    found = _statistics(FIRST / "correlations.csv")
    shares = ("0.35", "0.4", "0.5")
    return table(
        ("method", "SRC", "difference to DaSS", "difference to parameters", "SRC at equal size",
         *(f"regret within {share}" for share in shares)),
        [
            (
                label,
                *(_interval(found.get((name, "mean", metric))) for metric in ("src", "src_difference", "src_gain")),
                _value(found.get((name, "mean", "partial_src"))),
                *(_value(found.get((name, "mean", f"regret_within_{share}"))) for share in shares),
            )
            for label, name in METHODS.items()
        ],
    )  # fmt: skip


def intervals() -> str:
    """Percent of the students within their 80% intervals, by target."""
    found = _statistics(FIRST / "correlations.csv")
    return table(
        ("method", *TARGETS, "mean of the six", "mean of the four that count"),
        [
            (
                label,
                *(_value(found[name, target, "covered_80"], 100, 0) for target in TARGETS),
                *(
                    f"{100 * mean(float(found[name, target, 'covered_80']['value']) for target in several):.0f}"
                    for several in (TARGETS, COUNTING)
                ),
            )
            for label, name in MULTI_FIDELITY.items()
        ],
    )


def picks() -> str:
    """Accuracy of the distilled picks, by target."""
    reached: dict[tuple[str, str], list[float]] = {}
    with (FIRST / "picks.csv").open() as file:
        for row in csv.DictReader(file):
            reached.setdefault((row["method"], row["target"]), []).append(float(row["accuracy"]))
    means = {place: mean(accuracies) for place, accuracies in reached.items()}
    return table(
        ("method", *COUNTING, "mean"),
        [
            (label, *(f"{one:.1f}" for one in (*own, mean(own))))
            for label, name in PICKS.items()
            for own in [[means[name, target] for target in COUNTING]]
        ],
    )


def left_out() -> str:
    """What the multi-fidelity predictor reaches on source tasks that it has not learned."""
    card = json.loads((FIRST / "ladder.json").read_text())
    return table(
        ("fidelity", "mean SRC", "within 80% intervals"),
        [
            (f"`{key}`", f"{card['left_out'][old]:.2f}", f"{100 * card['covered'][old]:.0f}%")
            for key, old in FIDELITIES.items()
        ],
    )


def lengths() -> str:
    """SRC of proxies with accuracies after two lengths of distillation."""
    found = _statistics(FIRST / "lengths.csv")
    targets = list(dict.fromkeys(target for _, target, _ in found))
    return table(
        ("proxy or predictor", *targets),
        [(label, *(_interval(found[name, target, "src"]) for target in targets)) for label, name in LENGTHS.items()],
    )


def _statistics(path: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """Rows of correlations.csv or lengths.csv, by method, target and metric."""
    with path.open() as file:
        return {(row["method"], row["target"], row["metric"]): row for row in csv.DictReader(file)}


def _interval(row: dict[str, str] | None) -> str:
    if row is None:
        return "-"
    return f"{float(row['value']):.2f} [{float(row['low']):.2f}, {float(row['high']):.2f}]"


def _value(row: dict[str, str] | None, scale: float = 1.0, digits: int = 2) -> str:
    return "-" if row is None else f"{scale * float(row['value']):.{digits}f}"
