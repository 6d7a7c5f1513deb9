"""Pictures of a result. Figures are made without pyplot, so no global state or window is touched."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from dass.evaluation.intervals import Estimate
from dass.evaluation.tables import MEAN, SECONDS, CorrelationRow, CurveRow, PickRow
from dass.files import atomic_write
from dass.method_names import method_label

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
    ylabel: str = "predicted accuracy (%)",
) -> Figure:
    """Candidates of a search by cost and predicted accuracy, with their Pareto front.

    Args:
        macs: multiply-accumulates of the N candidates, [N], in millions.
        predicted: predicted accuracies of the N candidates, [N], in percent.
        front: indices of the front's candidates, by ascending MACs.
        title: title of the picture.
        picked: index of the pick.
        max_macs: budget in millions, drawn as a line.
        teacher_macs: multiply-accumulates of the teacher, in millions; drawn where its accuracy is given too.
        teacher_accuracy: accuracy of the teacher on the test images, in percent (0..100).
        ylabel: label of the axis of accuracies.
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
    axes.set(xlabel="MACs (millions)", ylabel=ylabel, title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=8)  # the teacher may stand anywhere
    return figure


def method_bars(rows: Sequence[CorrelationRow], metric: str, methods: Sequence[str], title: str) -> Figure:
    """One metric of methods: a bar with its interval for the mean over targets, and a point for each target.

    Args:
        rows: rows of `reports/correlations.csv`.
        metric: name of the metric.
        methods: from top to bottom; one without a row stays empty.
        title: title of the picture.
    """
    chosen = [row for row in rows if row.metric == metric and row.method in methods]
    targets = list(dict.fromkeys(row.target for row in chosen if row.target != MEAN))
    figure = _figure(height=1.6 + 0.26 * len(methods), width=8.0)
    axes = figure.add_subplot()
    places = {method: position for position, method in enumerate(methods)}
    means = [row for row in chosen if row.target == MEAN]
    if means:
        values = np.array([row.value for row in means])
        # An interval may lie beside its value.
        errors = np.maximum(0, np.array([[r.value - r.low for r in means], [r.high - r.value for r in means]]))
        axes.barh(
            [places[row.method] for row in means], values, 0.7, xerr=errors, error_kw={"linewidth": 0.9},
            color=GREY, alpha=0.6, label="mean",
        )  # fmt: skip
    for index, target in enumerate(targets):
        own = [row for row in chosen if row.target == target]
        marker = "osD^vP*X"[index % 8] if own[0].counts else "x"
        axes.plot(
            [row.value for row in own],
            [places[row.method] for row in own],
            marker,
            color=f"C{index % 10}",
            markersize=4,
            linestyle="",
            label=target if own[0].counts else f"{target} (not in the mean)",
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(title=title, xlabel=metric.upper() if metric == "src" else metric)
    axes.set_yticks(range(len(methods)), [method_label(name) for name in methods])
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    if chosen:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)
    return figure


def price_curve(rows: Sequence[CorrelationRow], multi_fidelity: Sequence[str], title: str) -> Figure:
    """Mean SRC over the targets that count against the milliseconds that a score takes; fidelities are joined.

    Bars are intervals; methods of one fidelity are labelled where they are the best at their price or below.

    Args:
        rows: rows of `reports/correlations.csv`.
        multi_fidelity: methods of the multi-fidelity predictor, cheapest first.
        title: title of the picture.
    """
    src = {row.method: row for row in rows if (row.target, row.metric) == (MEAN, "src")}
    times: dict[str, list[float]] = {}
    for row in rows:
        if row.metric == SECONDS and row.method in src:
            times.setdefault(row.method, []).append(1000 * row.value)
    price = {method: max(sum(values) / len(values), 1e-3) for method, values in times.items()}
    figure = _figure(width=7.5, height=4.8)
    axes = figure.add_subplot()
    fidelities = [name for name in multi_fidelity if name in price]
    for names, color, line in (
        (fidelities, RED, "-"),
        ([name for name in price if name not in multi_fidelity], GREY, ""),
    ):
        x, y = [price[name] for name in names], np.array([src[name].value for name in names])
        low, high = (np.array([getattr(src[name], end) for name in names]) for end in ("low", "high"))
        errors = np.maximum(0, np.stack([y - low, high - y]))
        axes.errorbar(x, y, errors, color=color, marker="o", markersize=4, linestyle=line, elinewidth=0.6, zorder=2)
    best = -1.0
    for name in sorted((name for name in price if name not in multi_fidelity), key=lambda name: price[name]):
        if src[name].value > best:
            best = src[name].value
            axes.annotate(
                method_label(name), (price[name], best), fontsize=7, xytext=(4, 4), textcoords="offset points"
            )
    for name in fidelities:
        axes.annotate(
            method_label(name),
            (price[name], src[name].value),
            fontsize=7,
            color=RED,
            xytext=(4, -9),
            textcoords="offset points",
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="milliseconds per architecture", ylabel="mean SRC", title=title)
    axes.grid(alpha=0.3)
    if price:
        axes.set_xscale("log")
    return figure


def few_shot_curve(rows: Sequence[CurveRow], title: str) -> Figure:
    """Fig. 3: SRC against the seconds that collecting the shown students takes, a line per target; a star is the guide.

    Bars are one standard deviation over draws and seeds.
    """
    figure = _figure(width=7.5)
    axes = figure.add_subplot()
    for index, target in enumerate(dict.fromkeys(row.target for row in rows)):
        for guide in (True, False):
            own = [row for row in rows if row.target == target and (row.shots == 0) == guide]
            axes.errorbar(
                [row.seconds for row in own], [row.src for row in own], [row.deviation for row in own],
                color=f"C{index % 10}", marker="*" if guide else "o", markersize=11 if guide else 4,
                linestyle="" if guide else "-", elinewidth=0.8, label=None if guide else target,
            )  # fmt: skip
    axes.set(xlabel="collecting time (s)", ylabel="SRC", title=title)
    axes.grid(alpha=0.3)
    if rows:
        axes.set_xscale("log")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)
    return figure


def pick_scatter(rows: Sequence[PickRow], title: str) -> Figure:
    """Tables 4, 5 and 7 as a picture: accuracy of each method's pick by its MACs, a panel per target.

    Bars are one standard deviation over the seeds of its distillation.
    """
    targets = list(dict.fromkeys(row.target for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    columns = min(3, max(1, len(targets)))
    lines = -(-len(targets) // columns) or 1
    figure = _figure(width=3.6 * columns + 2.4, height=3.2 * lines + 0.6)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels[len(targets) :]:
        panel.set_axis_off()
    for target, axes in zip(targets, panels, strict=False):
        for index, method in enumerate(methods):
            own = [row for row in rows if (row.target, row.method) == (target, method)]
            if own:
                accuracies = np.array([row.accuracy for row in own])
                deviation = accuracies.std(ddof=1) if len(own) > 1 else 0.0
                axes.errorbar(
                    own[0].macs / 1e6,
                    accuracies.mean(),
                    deviation,
                    color=f"C{index % 10}",
                    marker="osD^vP*X"[index % 8],
                    markersize=6,
                    linestyle="",
                )
        axes.set(title=target, xlabel="MACs (millions)", ylabel="accuracy (%)")
        axes.grid(alpha=0.3)
    handles = [
        Line2D([], [], color=f"C{index % 10}", marker="osD^vP*X"[index % 8], linestyle="", label=method_label(method))
        for index, method in enumerate(methods)
    ]
    if handles:
        figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
    figure.suptitle(title)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG, atomically; the same figure gives the same bytes.

    Raises:
        DassError: the file cannot be written.
    """
    atomic_write(path, lambda temporary: figure.savefig(temporary, format="png", dpi=130, metadata={"Software": None}))


def embedded(figure: Figure) -> str:
    """A picture as an address that needs no file."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def _figure(width: float = 6.0, height: float = 4.2) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
