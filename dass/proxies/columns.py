"""Columns of a table of proxies by their names, for tables that come from outside."""

import re
from collections.abc import Sequence

from dass.errors import UsageError
from dass.fidelity import STEPS
from dass.proxies import k_step, noise, one_batch, size
from dass.proxies.table import Column

_OLD = ((r"start_(\w+)", r"one_batch_\1"), (r"sprint_(\d+_\w+)", r"steps\1"))  # before version 0.2


def read_columns(names: Sequence[str]) -> tuple[Column, ...]:
    """The columns with these names, in the same order; names that earlier versions gave are read too.

    Raises:
        UsageError: there is no such column.
    """
    stages = len(names)  # at most
    known = (*size.columns(stages), *noise.COLUMNS, *one_batch.columns(stages), *k_step.columns(STEPS[-1]))
    by_name = {column.name: column for column in known}
    found = []
    for name in names:
        today = name
        for old, new in _OLD:
            today = re.sub(f"^{old}$", new, today)
        if today not in by_name:
            raise UsageError(
                f"there is no proxy {name!r:.60}: the rows hold columns such as log_macs or one_batch_loss"
            )
        found.append(by_name[today])
    return tuple(found)
