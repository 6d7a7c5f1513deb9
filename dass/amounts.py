"""Times, sizes and limits as people write them: `5ms`, `0.5 s`, `1MB`, `300 kB`; `2.5` millions, `40%`."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Limit:
    """A limit on what a student costs.

    Attributes:
        number: millions, or percent of what the teacher has.
        share: whether the amount is a share, in percent.
    """

    number: float
    share: bool

    @classmethod
    def upper(cls, amount: float | str | None) -> "Limit | None":
        """Reads an upper limit; None for none.

        Raises:
            UsageError: neither a number above 0 nor a share of at most 100%.
        """
        return None if amount is None else cls._of(amount)

    @classmethod
    def lower(cls, amount: float | str | None) -> "Limit | None":
        """Reads a lower limit; None and 0 are none.

        Raises:
            UsageError: as for `upper`.
        """
        return None if amount is None or str(amount).strip() in ("0", "0.0", "0%") else cls._of(amount)

    @classmethod
    def _of(cls, amount: float | str) -> "Limit":
        text = str(amount).strip()
        share = text.endswith("%")
        try:
            number = float(text.removesuffix("%"))
        except ValueError:
            number = math.nan
        if isinstance(amount, bool) or not 0 < number < math.inf or (share and number > 100):
            raise UsageError(
                f"{amount!r:.60} is no limit: give millions, such as 2.5, or a share of the teacher's, such as 40%"
            )
        return cls(number, share)

    def millions(self, whole: float) -> float:
        """The limit in millions.

        Args:
            whole: what the teacher has, not in millions.
        """
        return self.number / 100 * whole / 1e6 if self.share else self.number


def crossed(least: Limit | None, most: Limit | None) -> bool:
    """Whether a lower limit is above an upper one; a share and millions cannot be compared without the teacher."""
    return least is not None and most is not None and least.share == most.share and least.number > most.number


def _in_units(amount: float | str, units: Mapping[str, float], usual: str, wrong: str) -> float:
    match = _AMOUNT.fullmatch(str(amount).strip())
    unit = match[2].lower().replace("µ", "u") or usual if match else ""
    value = float(match[1]) * units[unit] if match and unit in units else math.nan
    if isinstance(amount, bool) or not 0 < value < math.inf:
        raise UsageError(f"{amount!r:.60} is {wrong}")
    return value
