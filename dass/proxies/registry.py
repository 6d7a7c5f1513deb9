"""All kinds of proxies. A new one is a class in a module of this package and an entry here."""

import re
from collections.abc import Sequence

from dass.errors import UsageError
from dass.fidelity import FIDELITIES, Fidelity
from dass.proxies.k_step import KStep
from dass.proxies.noise import Noise
from dass.proxies.one_batch import OneBatch
from dass.proxies.proxy import Proxy
from dass.proxies.size import Size
from dass.proxies.table import Column

PROXIES: tuple[type[Proxy], ...] = (Size, Noise, OneBatch, KStep)
"""In the order in which tables have their columns."""

_OLD = ((r"start_(\w+)", r"one_batch_\1"), (r"sprint_(\d+_\w+)", r"steps\1"))  # before version 0.2


def proxies_at(fidelity: Fidelity) -> list[Proxy]:
    """The proxies that a fidelity consists of."""
    return [proxy for kind in PROXIES if (proxy := kind.at(fidelity)) is not None]


def columns_at(fidelity: Fidelity, stages: int) -> tuple[Column, ...]:
    """The columns of these proxies, in their order, for networks of so many stages."""
    return tuple(column for proxy in proxies_at(fidelity) for column in proxy.columns(stages))


def read_columns(names: Sequence[str]) -> tuple[Column, ...]:
    """The columns with these names, in the same order; names that earlier versions gave are read too.

    Raises:
        UsageError: there is no such column.
    """
    stages = len(names)  # at most
    columns = {column.name: column for column in columns_at(FIDELITIES[-1], stages)}
    chosen = []
    for name in names:
        today = name
        for old, new in _OLD:
            today = re.sub(f"^{old}$", new, today)
        if today not in columns:
            raise UsageError(
                f"there is no proxy {name!r:.60}: the rows hold columns such as log_macs or one_batch_loss"
            )
        chosen.append(columns[today])
    return tuple(chosen)
