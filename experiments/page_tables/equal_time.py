"""Tables of methods at equal time."""

import json
import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from scipy.stats import t

from dass.networks.checkpoint import load_card
from dass.space.cost import cost
from experiments.curves.record import read_curves
from experiments.page_tables.markdown import table
from experiments.page_tables.paths import STUDIES

LONG = STUDIES / "small-long"

# Methods of the replay: label, name in its rows, beginning of its size.
EQUAL_TIME = (
    ("all students distilled, the best kept", "random", "best of all"),
    ("three random students distilled, the best kept", "random", "best of 3"),
    ("one random student", "random", "best of 1"),
    ("race of 8 students", "race, last 1", "race of 8"),
    ("race of 8 students, the last two distilled", "race, last 2", "race of 8"),
    ("8 students train for 20 steps, the best goes on", "short run 20", "8 for 20"),
    ("one batch, then a race of 4", "one batch, then race, last 1", "race of 4"),
    ("best on one batch", "one batch, loss", "best 1"),
    ("EagleEye", "EagleEye", "best 1"),
    ("the paper's predictor", "DaSS", "best 1"),
    ("multi-fidelity predictor, one batch", "multi-fidelity, one batch", "best 1"),
    ("multi-fidelity predictor, 20 steps", "multi-fidelity, 20 steps", "best 1"),
    ("`dass search` among 3,000 candidates", "searched", ""),
    ("uniform widths and depths", "uniform", ""),
    ("one threshold (FastNAS's rule)", "threshold", ""),
    ("best drawn student, trained without the teacher", "trained alone", ""),
)

EVERY = EQUAL_TIME[0][0]
SHORT = (
    EVERY,
    "one random student",
    "race of 8 students",
    "the paper's predictor",
    "multi-fidelity predictor, 20 steps",
    "uniform widths and depths",
)


def half_of_macs() -> str:
    """Methods at equal time under half of the teacher's multiply-accumulates."""
    return equal_time(0.5)


def two_fifths_of_macs() -> str:
    """Methods at equal time under two fifths of them."""
    return equal_time(0.4)


def short_equal_time() -> str:
    """The first few methods under half of the multiply-accumulates, without intervals and targets."""
    found = _at_equal_time(0.5)
    return table(("method", "seconds", "accuracy (%)"), [(label, *_spent_and_reached(found[label])) for label in SHORT])


def against_a_race() -> str:
    """Differences of predictors and rankings to a race of 8, under both limits."""
    rows = json.loads((LONG / "rows.json").read_text())
    chosen = [
        "multi-fidelity, size and shape",
        "multi-fidelity, one batch",
        "multi-fidelity, 20 steps",
        "DaSS",
        "one batch, loss",
    ]

    def accuracies(name: str, size: str, limit: float) -> dict[str, float]:
        own = [row for row in rows if (row["method"], row["limit"]) == (name, limit) and row["size"].startswith(size)]
        return {row["target"]: row["accuracy"] for row in own}

    limits = (0.5, 0.4)
    race = {limit: accuracies("race, last 1", "race of 8", limit) for limit in limits}
    cells = [
        [
            _paired([own - race[limit][target] for target, own in accuracies(name, "best 1", limit).items()])
            for limit in limits
        ]
        for name in chosen
    ]
    columns = ("method", *(f"at most {100 * limit:.0f}% of the MACs" for limit in limits))
    return table(columns, [(name, *own) for name, own in zip(chosen, cells, strict=True)])


def rivals() -> str:
    """Other people's tools beside the drawn students of their target: accuracies after the same distillation."""
    rows = []
    for one in json.loads((LONG / "rivals.json").read_text()):
        teacher = load_card(LONG.with_name("small") / "teachers" / "targets" / f"{one['task']}.safetensors")
        most = one["limit"] * cost(teacher.architecture, teacher.resolution, len(teacher.classes)).macs
        drawn = [r.test_accuracy for r in read_curves(LONG / "records" / f"{one['task']}.jsonl") if r.macs <= most]
        rows.append(
            (
                one["tool"],
                one["task"],
                f"{100 * one['share']:.0f}%",
                f"{one['test']:.1f}",
                f"{mean(drawn):.1f}, {max(drawn):.1f}",
            )
        )
    return table(("tool", "target", "share of the MACs", "accuracy (%)", "mean and best drawn student (%)"), rows)


def optuna() -> str:
    """Our race beside Optuna's successive halving on the same draws, as means over the targets."""
    rows = json.loads((LONG / "optuna.json").read_text())
    lines = []
    for limit, count in sorted({(row["limit"], row["count"]) for row in rows}, reverse=True):
        own = [row for row in rows if (row["limit"], row["count"]) == (limit, count)]
        for name, key in (("race", "race"), ("Optuna's `SuccessiveHalvingPruner`", "optuna")):
            seconds, accuracy = _spent_and_reached({row["target"]: row[key] for row in own})
            lines.append((name, f"{100 * limit:.0f}%", str(count), str(len(own)), seconds, accuracy))
    return table(("method", "share of the MACs", "students", "targets", "seconds", "accuracy (%)"), lines)


def equal_time(limit: float) -> str:
    """What methods deliver in how many seconds under a limit, as means over the targets."""
    found = _at_equal_time(limit)
    targets = sorted(found[EVERY])
    return table(
        ("method", "seconds", "accuracy (%)", "difference to all distilled (points)", *targets),
        [
            (
                label,
                *_spent_and_reached(own),
                _paired([own[target]["accuracy"] - found[EVERY][target]["accuracy"] for target in targets]),
                *(f"{own[target]['accuracy']:.1f}" for target in targets),
            )
            for label, own in found.items()
        ],
    )


def _at_equal_time(limit: float) -> dict[str, dict[str, dict[str, Any]]]:
    """By label and target what a method delivers; methods that lack a target are left out."""
    rows = [row for row in json.loads((LONG / "rows.json").read_text()) if row["limit"] == limit]
    found = {
        label: {row["target"]: row for row in rows if row["method"] == name and row["size"].startswith(size)}
        for label, name, size in EQUAL_TIME
    }
    return {label: own for label, own in found.items() if own.keys() == found[EVERY].keys()}


def _spent_and_reached(own: dict[str, dict[str, Any]]) -> tuple[str, str]:
    """Mean seconds and mean accuracy over targets."""
    return f"{mean(row['seconds'] for row in own.values()):.0f}", f"{mean(row['accuracy'] for row in own.values()):.2f}"


def _paired(differences: Sequence[float]) -> str:
    """Mean with a 95% interval of Student's t over targets."""
    if not any(differences):
        return "-"
    half = float(t.ppf(0.975, len(differences) - 1)) * stdev(differences) / math.sqrt(len(differences))
    return f"{mean(differences):+.2f} [{mean(differences) - half:+.2f}, {mean(differences) + half:+.2f}]"
