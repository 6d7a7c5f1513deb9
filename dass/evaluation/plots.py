"""Pictures of a result. Figures are made without pyplot, so no global state or window is touched."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from dass.evaluation.intervals import Estimate
from dass.evaluation.tables import CorrelationRow
from dass.files import atomic_write

BLUE, RED, GREY = "#4269d0", "#d1495b", "#9aa0a6"


def scatter(predicted: ArrayLike, actual: ArrayLike, src: Estimate, title: str) -> Figure:
    """Predicted against actual accuracy of students, both in percent, with the SRC and its interval."""
    figure = _figure()
    axes = figure.add_subplot()
    axes.scatter(np.asarray(predicted), np.asarray(actual), s=18, color=BLUE, alpha=0.8, linewidths=0)
    axes.set(
        xlabel="predicted accuracy (%)",
        ylabel="accuracy after distillation (%)",
        title=f"{title}: SRC {src.value:.2f} [{src.low:.2f}, {src.high:.2f}], n={src.n}",
    )
    axes.grid(alpha=0.3)
    return figure


def pareto(
    macs: ArrayLike,
    predicted: ArrayLike,
    front: Sequence[int],
    *,
    title: str,
    picked: int | None = None,
    max_macs: float | None = None,
    teacher_macs: float | None = None,
    teacher_accuracy: float | None = None,
) -> Figure:
    """Candidates of a search by cost and predicted accuracy, with their Pareto front.

    Args:
        macs: [N] multiply-accumulates, in millions.
        predicted: [N] percent.
        front: indices of the front's candidates, by ascending MACs.
        title: of the picture.
        picked: index of the pick.
        max_macs: budget in millions, drawn as a line.
        teacher_macs: of the teacher, in millions; drawn where its accuracy is given too.
        teacher_accuracy: percent.
    """
    x, y = np.asarray(macs, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    figure = _figure()
    axes = figure.add_subplot()
    axes.scatter(x, y, s=6, color=GREY, alpha=0.5, linewidths=0, label=f"{len(x)} candidates", rasterized=True)
    axes.plot(x[list(front)], y[list(front)], color=BLUE, marker="o", markersize=3, label="Pareto front")
    if picked is not None:
        axes.plot(x[picked], y[picked], color=RED, marker="*", markersize=13, linestyle="", label="picked")
    if max_macs is not None:
        axes.axvline(max_macs, color=RED, linewidth=1, linestyle="--", label=f"budget {max_macs:g} M")
    if teacher_macs is not None and teacher_accuracy is not None:
        axes.plot(teacher_macs, teacher_accuracy, color="black", marker="^", linestyle="", label="teacher (measured)")
    axes.set(xlabel="MACs (millions)", ylabel="predicted accuracy (%)", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    return figure


def correlation_bars(rows: Sequence[CorrelationRow], title: str) -> Figure:
    """Bars of one metric, a group for each target and a bar with its interval for each method."""
    methods = list(dict.fromkeys(row.method for row in rows))
    targets = list(dict.fromkeys(row.target for row in rows))
    figure = _figure(width=max(6.0, 0.22 * len(methods) * len(targets) + 3))
    axes = figure.add_subplot()
    width = 0.8 / max(1, len(methods))
    for index, method in enumerate(methods):
        own = {row.target: row for row in rows if row.method == method}
        places = np.array([place for place, target in enumerate(targets) if target in own])
        values = np.array([own[target].value for target in targets if target in own])
        low = np.array([own[target].low for target in targets if target in own])
        high = np.array([own[target].high for target in targets if target in own])
        errors = np.maximum(0, np.stack([values - low, high - values]))  # an interval may lie beside its value
        axes.bar(
            places + (index - (len(methods) - 1) / 2) * width,
            values,
            width,
            yerr=errors,
            error_kw={"linewidth": 0.8},
            color=f"C{index % 10}",
            hatch=("", "//", "..", "xx")[index // 10 % 4],
            label=method,
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(title=title)
    axes.set_xticks(range(len(targets)), targets)
    axes.grid(axis="y", alpha=0.3)
    if methods:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG, atomically; the same figure gives the same bytes.

    Raises:
        DassError: the file cannot be written.
    """
    atomic_write(path, lambda temporary: figure.savefig(temporary, format="png", dpi=130, metadata={"Software": None}))


def _figure(width: float = 6.0) -> Figure:
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
