"""Pictures of a classifier's answers: the confusion matrix, and the mistakes that it is surest of."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dass.evaluation.answers import Answers

NAMED = 60  # classes whose names can still be read beside a matrix
NUMBERED = 20  # classes whose counts can
COLUMNS, MOST = 6, 24  # of the grid of mistakes


def confusion_matrix(answers: Answers, title: str) -> Figure:
    """How often images of each class (rows) were given each name (columns), as shares of the rows."""
    counts = answers.confusion
    size = len(counts)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = 2.5 + min(0.34 * min(size, NAMED), 14)
    figure = Figure(figsize=(side, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if size <= NAMED:
        names = [_short(name) for name in answers.classes]
        axes.set_xticks(range(size), names, rotation=90, fontsize=7, parse_math=False)
        axes.set_yticks(range(size), names, fontsize=7, parse_math=False)
    if size <= NUMBERED:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color=colour)
    axes.set(xlabel="answer", ylabel="truth")
    axes.set_title(title, fontsize=9, parse_math=False)
    return figure


def mistakes_grid(answers: Answers, images: NDArray[np.uint8], title: str) -> Figure:
    """The wrong answers of the highest probability, with the truth below each.

    Args:
        answers: predicted classes of all test images.
        images: uint8 [n, h, w, 3], in the same order.
        title: title of the picture.
    """
    chosen = answers.surest_mistakes(MOST)
    rows = max(1, -(-len(chosen) // COLUMNS))
    figure = Figure(figsize=(1.5 * COLUMNS, 0.5 + 1.9 * rows))
    FigureCanvasAgg(figure)
    figure.suptitle(title if len(chosen) else f"{title}: none", fontsize=9, parse_math=False)
    # One pair of axes for all images, in inches from the upper left: a pair for each takes half a second.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for cell, index in enumerate(chosen):
        left, upper = 1.5 * (cell % COLUMNS) + 0.1, 1.9 * (cell // COLUMNS) + 0.9
        axes.imshow(images[index], interpolation="nearest", extent=(left, left + 1.3, upper + 1.3, upper))
        predicted, right = (
            _short(answers.classes[label]) for label in (answers.predicted[index], answers.labels[index])
        )
        words = f"{predicted} {answers.probabilities[index].max():.0%}\nis {right}"
        axes.text(left + 0.65, upper - 0.05, words, fontsize=7, ha="center", va="bottom", parse_math=False)
    axes.set(xlim=(0, 1.5 * COLUMNS), ylim=(0.5 + 1.9 * rows, 0), aspect="equal")
    return figure


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"
