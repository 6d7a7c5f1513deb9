"""Pictures hold what they were given and are written whole, without pyplot."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from dass.evaluation.intervals import Estimate
from dass.evaluation.plots import few_shot_curve, method_bars, pareto, pick_scatter, save, scatter
from dass.evaluation.tables import CorrelationRow, CurveRow, PickRow


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


def test_a_bar_for_the_mean_and_a_point_for_each_target(tmp_path: Path) -> None:
    rows = [
        CorrelationRow("a", "dtd", "src", 0.5, 0.2, 0.7, 50),
        CorrelationRow("b", "dtd", "src", 0.9, 0.95, 0.99, 50),
        CorrelationRow("a", "cub", "src", -0.5, -0.7, -0.2, 50, counts=False),
        CorrelationRow("a", "mean", "src", 0.5, 0.2, 0.7, 50),
        CorrelationRow("b", "mean", "src", 0.9, 0.95, 0.99, 50),  # a percentile interval need not hold its value
        CorrelationRow("b", "mean", "regret", 9.0, 9.0, 9.0, 50),
    ]
    figure = method_bars(rows, "src", ["b", "a", "nowhere"], "SRC")
    [axes] = figure.axes
    assert [patch.get_width() for patch in axes.patches] == [0.5, 0.9]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b", "a", "nowhere"]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["dtd", "cub (not in the mean)", "mean"]
    save(figure, tmp_path / "bars.png")
    save(method_bars([], "src", ["a"], "nothing"), tmp_path / "none.png")


def test_the_curve_has_a_line_per_target_and_a_star_for_the_guide(tmp_path: Path) -> None:
    rows = [
        CurveRow(target, shots, 1.0 + 10 * shots, 0.5 + shots / 100, 0.1, 10, 30)
        for target in ("dtd", "cub")
        for shots in (0, 1, 5)
    ]
    figure = few_shot_curve(rows, "Figure 3")
    [axes] = figure.axes
    points = [container[0].get_xydata().tolist() for container in axes.containers]
    assert points == [[[1.0, 0.5]], [[11.0, 0.51], [51.0, 0.55]]] * 2
    assert axes.get_xscale() == "log"
    save(figure, tmp_path / "curve.png")
    save(few_shot_curve([], "nothing"), tmp_path / "none.png")


def test_a_panel_of_picks_per_target(tmp_path: Path) -> None:
    rows = [PickRow("dass", "dtd", seed, accuracy, 1_500_000, 1, "a") for seed, accuracy in ((0, 40.0), (1, 42.0))] + [
        PickRow("macs", target, 0, 39.0, 2_000_000, 1, "b") for target in ("dtd", "cub", "draw", "cars")
    ]
    figure = pick_scatter(rows, "Picks")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["dtd", "cub", "draw", "cars", "", ""]
    assert [c[0].get_xydata().tolist() for c in figure.axes[0].containers] == [[[1.5, 41.0]], [[2.0, 39.0]]]
    save(figure, tmp_path / "picks.png")
    save(pick_scatter([], "nothing"), tmp_path / "none.png")


def test_pyplot_is_never_imported() -> None:
    code = "import sys, dass.evaluation.plots; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
