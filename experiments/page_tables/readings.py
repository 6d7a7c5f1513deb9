"""Tables of the readings and variants of the paper's predictor."""

import json
from typing import Any

from dass.baselines.readings import PUBLISHED
from dass.method_names import method_label
from experiments.page_tables.markdown import table
from experiments.page_tables.paths import STUDIES

RIDGE = "ridge_on_code"


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((STUDIES / "readings" / "ablation.json").read_text())
    return rows


def _by_reading(key: str, with_error: bool) -> str:
    """A line for each variant and number of episodes, a column for each reading."""
    rows = _rows()
    [ridge] = [row for row in rows if row["method"] == RIDGE]
    readings = list(dict.fromkeys(row["reading"] for row in rows if row is not ridge))
    cells = {(row["method"], row["episodes"], row["reading"]): row for row in rows}

    def cell(row: dict[str, Any]) -> str:
        error = f" ± {row['left_out_error']:.2f}" if with_error else ""
        return f"{row[key]:.2f}{error}"

    lines = [("ridge regression on the code", "-", "-", *[cell(ridge)] * len(readings))]
    for name, episodes in dict.fromkeys((row["method"], row["episodes"]) for row in rows if row is not ridge):
        own = [cells[name, episodes, reading] for reading in readings]
        lines.append((method_label(name), str(episodes), str(own[0]["seeds"]), *map(cell, own)))
    return table(("method", "episodes", "seeds", *readings), lines)


def ablation_left_out() -> str:
    """Mean SRC over source tasks whose class group was left out, with its standard error over the groups."""
    return _by_reading("left_out", with_error=True)


def ablation_targets() -> str:
    """Mean SRC over the four targets."""
    return _by_reading("targets", with_error=False)


def readings_left_out() -> str:
    """Table 2 on left-out source tasks under each reading, beside the paper's."""
    page = (STUDIES / "readings" / "readings.md").read_text().splitlines()
    start = next(number for number, line in enumerate(page) if line.startswith("| reading"))
    return "\n".join(line for line in page[start : start + 3 + len(PUBLISHED)] if line.startswith("|"))
