"""How often the multi-fidelity predictor's 80% intervals hold on data drawn from its own model.

`python -m experiments.coverage docs/study/coverage.json`. Variances found by likelihood are treated as known, so the
intervals of the normal distribution are too narrow. Those of Student's t with one degree of freedom less than tasks
stand beside them.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from dass.files import write_json
from dass.multi_fidelity.gaussian_process import Sample, TaskProcess
from flows.infrastructure.exits import exit_with_line

FEATURES, CONFIDENCE = 8, 0.8
TASKS = (4, 8)


def main(
    file: Annotated[Path, typer.Argument(help="JSON file to write.")],
    runs: Annotated[int, typer.Option(help="Data sets.")] = 300,
    students: Annotated[int, typer.Option(help="Students of each task.")] = 24,
) -> None:
    """Measures the share of a new task's students within the intervals, by kind of interval and number of tasks."""
    rows = [row for tasks in TASKS for row in covered(runs, tasks, students)]
    write_json(file, {"numpy": np.__version__, "students": students, "seeds": f"0..{runs - 1}", "rows": rows})
    for row in rows:
        print(row)


def covered(runs: int, tasks: int, students: int) -> list[dict[str, str | int | float]]:
    """Percent of students within their intervals, with its standard error over data sets.

    Args:
        runs: data sets, at least 2.
        tasks: source tasks of each.
        students: of each task.
    """
    from scipy.stats import norm, t

    quantiles = {"normal": norm.ppf(0.5 + CONFIDENCE / 2), "t": t.ppf(0.5 + CONFIDENCE / 2, tasks - 1)}
    inside: dict[str, list[float]] = {name: [] for name in quantiles}
    for run in range(runs):
        rng = np.random.default_rng([run])
        features, targets = _draw(rng, tasks + 1, students)
        known = np.repeat(np.arange(tasks), students)
        count = len(known)
        sample = Sample(features[:count], known, targets[:count], np.full(count, 1e-4))
        mean, variance = TaskProcess([0] * FEATURES).fit(sample).predict(features[count:])
        apart = np.abs(targets[count:] - mean) / np.sqrt(variance)
        for name, quantile in quantiles.items():
            inside[name].append(float(np.mean(apart <= quantile)))
    return [
        {
            "tasks": tasks,
            "interval": name,
            "data_sets": runs,
            "percent": round(100 * float(np.mean(shares)), 1),
            "error": round(100 * float(np.std(shares, ddof=1) / np.sqrt(runs)), 1),
        }
        for name, shares in inside.items()
    ]


def _draw(rng: np.random.Generator, tasks: int, students: int) -> tuple[np.ndarray, np.ndarray]:
    """Students of several tasks, drawn from the model: a common linear function, and of each task offset and slope."""
    features = rng.normal(size=(tasks * students, FEATURES))
    common = features @ rng.normal(scale=0.3, size=FEATURES)
    offset = np.repeat(rng.normal(scale=0.3, size=tasks), students)
    slopes = np.repeat(rng.normal(scale=0.05, size=(tasks, FEATURES)), students, axis=0)
    noise = rng.normal(scale=0.1, size=len(features))
    return features, common + offset + (features * slopes).sum(1) + noise


if __name__ == "__main__":
    with exit_with_line():
        typer.run(main)
