"""Times and sizes as people write them: `5ms`, `0.5 s`, `1MB`, `300 kB`."""

import math
import re
from collections.abc import Mapping

from dass.errors import UsageError

_TIMES = {"us": 1e-3, "ms": 1.0, "s": 1e3}  # in milliseconds
_SIZES = {"kb": 1e-3, "kib": 1024e-6, "mb": 1.0, "mib": 1024**2 / 1e6, "gb": 1e3, "gib": 1024**3 / 1e6}
_AMOUNT = re.compile(r"([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([a-zµ]*)", re.IGNORECASE)


def milliseconds(amount: float | str) -> float:
    """A time in milliseconds; a number without a unit is of milliseconds.

    Raises:
        UsageError: not a time above 0.
    """
    return _in_units(amount, _TIMES, "ms", "no time: give milliseconds, such as 5ms, or another of us, ms and s")


def megabytes(amount: float | str) -> float:
    """A size in megabytes of 1,000,000 bytes; a number without a unit is of megabytes.

    Raises:
        UsageError: not a size above 0.
    """
    return _in_units(amount, _SIZES, "mb", "no size: give megabytes, such as 1MB, or another of kB, MB, GB and MiB")


def _in_units(amount: float | str, units: Mapping[str, float], usual: str, wrong: str) -> float:
    found = _AMOUNT.fullmatch(str(amount).strip())
    unit = found[2].lower().replace("µ", "u") or usual if found else ""
    value = float(found[1]) * units[unit] if found and unit in units else math.nan
    if isinstance(amount, bool) or not 0 < value < math.inf:
        raise UsageError(f"{amount!r:.60} is {wrong}")
    return value
