"""Rows, tables and files."""

import csv
from io import StringIO
from pathlib import Path

from rich.console import Console

from dass.evaluation.intervals import Estimate
from dass.evaluation.tables import (
    CorrelationRow,
    CurveRow,
    PickRow,
    Table,
    correlation_table,
    curve_table,
    pick_table,
    write_csv,
)

ROWS = [
    CorrelationRow.of("dass", "dtd", "src", Estimate(0.6, 0.4, 0.75, 50)),
    CorrelationRow.of("dass", "dtd", "kendall", Estimate(0.4, 0.2, 0.5, 50)),
    CorrelationRow.of("dass", "mean", "src", Estimate(0.65, 0.5, 0.8, 50)),
    CorrelationRow.of("dass", "cub", "src", Estimate(0.7, 0.5, 0.8, 49)),
    CorrelationRow.of("random", "dtd", "src", Estimate(0, 0, 0, 50, 2, True)),
]


def test_csv_comes_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "correlations.csv"
    third = CorrelationRow("m", 'a, "b"', "src", 1 / 3, -0.1, 0.9, 7)
    write_csv(path, CorrelationRow, [*ROWS, third])
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == ["method", "target", "metric", "value", "low", "high", "n", "invalid", "constant", "counts"]
    assert float(read[-1]["value"]) == 1 / 3
    assert read[-1]["target"] == 'a, "b"'
    write_csv(path, CurveRow, [])
    assert path.read_text() == "target,shots,seconds,src,deviation,draws,n\n"


def test_methods_against_targets() -> None:
    table = correlation_table(ROWS, "src", "Table 2")
    assert table.columns == ("method", "dtd (n=50)", "cub (n=49)", "mean")
    assert table.rows == (
        ("DaSS", "0.60 [0.40, 0.75]", "0.70 [0.50, 0.80]", "0.65 [0.50, 0.80]"),
        ("random", "0.00=* [0.00, 0.00]", "-", "-"),
    )


def test_chosen_methods_with_difference_and_time() -> None:
    more = [
        CorrelationRow("random", "mean", "src_difference", -0.6, -0.8, -0.4, 50),
        CorrelationRow("random", "dtd", "seconds", 0.001, 0.001, 0.001, 50),
        CorrelationRow("random", "cub", "seconds", 0.004, 0.004, 0.004, 50),
        CorrelationRow("random", "cub", "src", 0.1, -0.2, 0.3, 49, counts=False),
    ]
    table = correlation_table(
        [*ROWS[2:], *more], "src", "T", methods=["random", "absent"], difference="src_difference", seconds="seconds"
    )
    assert table.columns == ("method", "dtd (n=50)", "cub† (n=49)", "ms per architecture")  # nothing has a mean
    assert table.rows == (
        ("random", "0.00=* [0.00, 0.00]", "0.10 [-0.20, 0.30]", "2.5"),
        ("absent", "-", "-", "-"),
    )
    table = correlation_table([*ROWS, *more], "src", "T", difference="src_difference")
    assert table.columns[-1] == "mean difference to DaSS"
    assert [row[-1] for row in table.rows] == ["-", "-0.60 [-0.80, -0.40]"]
    best = CorrelationRow("dass", "mean", "src_best", 0.3, 0.2, 0.4, 50)
    table = correlation_table([*ROWS, *more, best], "src", "T", difference="src_difference", best="src_best")
    assert table.columns[-2:] == ("mean difference to DaSS", "mean by best accuracy")
    assert [row[-1] for row in table.rows] == ["0.30 [0.20, 0.40]", "-"]


def test_the_curve() -> None:
    rows = [CurveRow("dtd", 0, 0.5, 0.6, 0.0, 1, 30), CurveRow("dtd", 5, 12.25, 0.654, 0.1, 10, 30)]
    assert curve_table(rows, "Figure 3").rows == (
        ("dtd", "guide (teacher)", "0.50", "0.60 ± 0.00 (1)", "30"),
        ("dtd", "5", "12.25", "0.65 ± 0.10 (10)", "30"),
    )


def test_picks_over_seeds() -> None:
    rows = [
        PickRow("dass", "dtd", seed, accuracy, 1_500_000, 250_000, "1,1,1,1 / 4,4,4,4")
        for seed, accuracy in ((0, 40.0), (1, 42.0), (2, 44.0))
    ]
    table = pick_table([*rows, PickRow("macs", "dtd", 0, 39.0, 1_000_000, 1000, "a")], "Table 4")
    assert table.rows[0] == ("dtd", "DaSS", "42.00 ± 2.00 (3)", "1.50", "0.250", "1,1,1,1 / 4,4,4,4")
    assert table.rows[1][2] == "39.00 (1)"


def test_markdown_and_terminal() -> None:
    table = Table("T", ("a", "b"), (("x|y", "1"),))
    assert table.markdown() == "**T**\n\n| a | b |\n| --- | ---: |\n| x\\|y | 1 |\n"
    assert table.csv() == "a,b\nx|y,1\n"
    assert Table("T", ("a",), (), ("note",)).markdown().endswith("| --- |\n\nnote\n")
    screen = StringIO()
    Console(width=60, file=screen).print(table.rich())
    assert "x|y" in screen.getvalue()
