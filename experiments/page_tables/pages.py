"""Pages with tables between `<!-- table: NAME -->` and `<!-- end of table -->`."""

import re
from collections.abc import Callable

from experiments.page_tables import equal_time, first_study, medium_study, readings
from experiments.page_tables.paths import ROOT

PAGES = tuple(ROOT / page for page in (
    "README.md", "docs/multi_fidelity.md", "docs/study/README.md", "docs/study/medium/README.md",
    "docs/study/readings/README.md", "docs/study/small-long/README.md",
))  # fmt: skip
TABLES: dict[str, Callable[[], str]] = {
    one.__name__: one
    for one in (
        first_study.results,
        first_study.methods,
        first_study.intervals,
        first_study.picks,
        first_study.left_out,
        first_study.lengths,
        medium_study.medium,
        equal_time.half_of_macs,
        equal_time.two_fifths_of_macs,
        equal_time.short_equal_time,
        equal_time.against_a_race,
        equal_time.rivals,
        equal_time.optuna,
        readings.readings_left_out,
        readings.ablation_left_out,
        readings.ablation_targets,
    )
}
_BETWEEN = re.compile(r"(?s)(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)")


def with_tables(page: str) -> str:
    """The text of a page with all its tables made anew."""
    return _BETWEEN.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", page)


def names(page: str) -> list[str]:
    """Names of the tables of a page."""
    return [found[2] for found in _BETWEEN.finditer(page)]
