"""Pictures hold what they were given and are written whole, without pyplot."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from dass.evaluation.intervals import Estimate
from dass.evaluation.plots import correlation_bars, pareto, save, scatter
from dass.evaluation.tables import CorrelationRow


def test_scatter_shows_points_and_src(tmp_path: Path) -> None:
    figure = scatter([1.0, 2.0, 3.0], [10.0, 30.0, 20.0], Estimate(0.5, -0.2, 0.9, 3), "dtd")
    [axes] = figure.axes
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), [[1, 10], [2, 30], [3, 20]])
    assert axes.get_title() == "dtd: SRC 0.50 [-0.20, 0.90], n=3"
    save(figure, tmp_path / "a.png")
    save(scatter([1.0, 2.0, 3.0], [10.0, 30.0, 20.0], Estimate(0.5, -0.2, 0.9, 3), "dtd"), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pareto_shows_front_pick_budget_and_teacher() -> None:
    figure = pareto(
        [1.0, 2.0, 3.0],
        [10.0, 30.0, 20.0],
        [0, 1],
        title="t",
        picked=1,
        max_macs=2.5,
        teacher_macs=4.0,
        teacher_accuracy=50.0,
    )
    [axes] = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[1, 10], [2, 30]])
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["3 candidates", "Pareto front", "picked", "budget 2.5 M", "teacher (measured)"]
    bare = pareto([1.0], [10.0], [0], title="t")
    assert len(bare.axes[0].get_legend().get_texts()) == 2


def test_bars_with_missing_targets(tmp_path: Path) -> None:
    rows = [
        CorrelationRow("a", "dtd", "src", 0.5, 0.2, 0.7, 50),
        CorrelationRow("b", "dtd", "src", 0.9, 0.95, 0.99, 50),  # a percentile interval need not hold its value
        CorrelationRow("a", "cub", "src", -0.5, -0.7, -0.2, 50),
    ]
    figure = correlation_bars(rows, "SRC")
    assert sorted(patch.get_height() for patch in figure.axes[0].patches) == [-0.5, 0.5, 0.9]
    save(figure, tmp_path / "bars.png")


def test_pyplot_is_never_imported() -> None:
    code = "import sys, dass.evaluation.plots; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
