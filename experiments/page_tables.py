"""Writes the tables of pages from the files of committed studies: python -m experiments.page_tables

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`. The text around a table has no number of it.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t

from dass.files import write_text
from dass.networks.checkpoint import load_card
from dass.space.cost import cost
from dass.students.record_file import read_records
from experiments.curves.record import read_curves

ROOT = Path(__file__).parents[1]
FIRST = ROOT / "docs" / "study" / "small-first"
MEDIUM = ROOT / "docs" / "study" / "medium"
LONG = ROOT / "docs" / "study" / "small-long"
PAGES = tuple(ROOT / page for page in (
    "README.md", "docs/multi_fidelity.md", "docs/study/README.md", "docs/study/medium/README.md",
    "docs/study/small-long/README.md",
))  # fmt: skip
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
)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: a column of names, then columns of numbers."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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


def medium() -> str:
    """What the first piece of preset `medium` says of its teacher and students."""
    records = read_records(MEDIUM / "records" / "cifar10.parquet")
    teacher = json.loads((MEDIUM / "teacher-cifar10.json").read_text())
    first, second = ({r.arch_id: r.final_accuracy for r in records if r.seed == seed} for seed in (0, 1))
    both = first.keys() & second.keys()
    error = math.sqrt(mean(r.final_accuracy * (100 - r.final_accuracy) / 4000 for r in records))
    seeds = math.sqrt(mean((first[name] - second[name]) ** 2 / 2 for name in both))
    accuracies = [record.final_accuracy for record in records]
    deviation, seconds, steps = stdev(first.values()), mean(record.seconds for record in records), 6000 // 64 * 5
    return table(
        ("what", "number"),
        [
            ("accuracy of the teacher on 4,000 test images", f"{teacher['accuracy']:.1f}%"),
            ("seconds of the teacher's training", f"{teacher['seconds']:.0f}"),
            ("students distilled, of 70", f"{len(records)}"),
            ("their architectures, of 50", f"{len(first.keys() | second.keys())}"),
            ("architectures with two seeds", f"{len(both)}"),
            (f"seconds a student of {steps} steps, eight side by side", f"{seconds:.1f}"),
            ("milliseconds a step of a student", f"{1000 * seconds / steps:.1f}"),
            ("minutes of the preset's 580 students at that rate, an estimate", f"{580 * seconds / 60:.0f}"),
            ("accuracy of the students", f"{min(accuracies):.1f} to {max(accuracies):.1f}%"),
            (f"deviation between the {len(first)} architectures of seed 0, in points", f"{deviation:.1f}"),
            ("standard error of one accuracy, in points", f"{error:.2f}"),
            ("deviation between seeds, in points", f"{seeds:.2f}"),
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


def short_equal_time() -> str:
    """The first few methods under half of the multiply-accumulates, without intervals and targets."""
    found = _at_equal_time(0.5)
    return table(("method", "seconds", "accuracy (%)"), [(label, *_spent_and_reached(found[label])) for label in SHORT])


def against_a_race() -> str:
    """Differences of predictors and rankings to a race of 8, under both limits."""
    rows = json.loads((LONG / "rows.json").read_text())
    chosen = [
        "multi-fidelity, size and shape", "multi-fidelity, one batch", "multi-fidelity, 20 steps", "DaSS",
        "one batch, loss",
    ]  # fmt: skip

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


def _paired(differences: Sequence[float]) -> str:
    """Mean with a 95% interval of Student's t over targets."""
    if not any(differences):
        return "-"
    half = float(t.ppf(0.975, len(differences) - 1)) * stdev(differences) / math.sqrt(len(differences))
    return f"{mean(differences):+.2f} [{mean(differences) - half:+.2f}, {mean(differences) + half:+.2f}]"


def half_of_macs() -> str:
    """Methods at equal time under half of the teacher's multiply-accumulates."""
    return equal_time(0.5)


def two_fifths_of_macs() -> str:
    """Methods at equal time under two fifths of them."""
    return equal_time(0.4)


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


TABLES: dict[str, Callable[[], str]] = {
    one.__name__: one
    for one in (
        results,
        methods,
        intervals,
        picks,
        left_out,
        lengths,
        medium,
        half_of_macs,
        two_fifths_of_macs,
        short_equal_time,
        against_a_race,
        rivals,
        optuna,
    )
}
_BETWEEN = re.compile(r"(?s)(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)")


def with_tables(page: str) -> str:
    """The text of a page with all its tables made anew."""
    return _BETWEEN.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", page)


def names(page: str) -> list[str]:
    """Names of the tables of a page."""
    return [found[2] for found in _BETWEEN.finditer(page)]


if __name__ == "__main__":
    for path in PAGES:
        write_text(path, with_tables(path.read_text(encoding="utf-8")))
