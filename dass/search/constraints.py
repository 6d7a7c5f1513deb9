"""Constraints on the student that a search picks: as people ask for them, and in numbers for one teacher."""

from dataclasses import dataclass, fields, replace

from dass.amounts import Limit, crossed, megabytes, milliseconds
from dass.config import Search, Target
from dass.errors import UsageError
from dass.space.cost import Cost, CostLimits

MILLION = 1e6
COST_LIMITS = ("max_macs", "max_params", "min_macs", "min_params")  # fields that are limits on MACs and parameters
KEEP_PROBABILITY = 0.8  # with which a pick is to keep the accuracy that is asked for


@dataclass(frozen=True)
class Constraints:
    """What a pick may cost, and how close to its teacher it has to stay.

    Attributes:
        max_macs: millions of multiply-accumulates (conv + linear) on one image; None for no limit.
        max_params: millions of parameters; None for no limit.
        min_macs: fewest multiply-accumulates, in millions; None for no limit.
        min_params: fewest parameters, in millions; None for no limit.
        max_size: megabytes (of 1,000,000 bytes) of the weights' file; None for no limit.
        max_latency: milliseconds of one forward pass on the device; None for no limit.
        latency_batch: number of images in that forward pass, at least 1.
        keep_accuracy: points that the pick may lose against its teacher, 0..100; the smallest such is picked. None for
            the most accurate.
        keep_probability: how likely it has to be that it loses no more, 0..1, both excluded.

    Raises:
        UsageError: a lower limit is above the upper one, or a number is out of its range.
    """

    max_macs: float | None = None
    max_params: float | None = None
    min_macs: float | None = None
    min_params: float | None = None
    max_size: float | None = None
    max_latency: float | None = None
    latency_batch: int = 1
    keep_accuracy: float | None = None
    keep_probability: float = KEEP_PROBABILITY

    def __post_init__(self) -> None:
        if self.latency_batch < 1:
            raise UsageError(f"a batch of {self.latency_batch} images has no latency: give at least 1")
        if self.keep_accuracy is not None and not 0 <= self.keep_accuracy <= 100:
            raise UsageError(f"nothing can lose {self.keep_accuracy:g} points of accuracy: give 0 to 100")
        if not 0 < self.keep_probability < 1:
            raise UsageError(f"{self.keep_probability:g} is no probability: give a number between 0 and 1, such as 0.8")
        for least, most, what in (
            (self.min_macs, self.max_macs, "M MACs"),
            (self.min_params, self.max_params, "M parameters"),
        ):
            if least is not None and most is not None and least > most:
                raise UsageError(f"nothing has at least {least:g} and at most {most:g} {what}: exchange the limits")

    def limits(self, resolution: int, classes: int) -> CostLimits:
        """The limits of MACs and parameters, not in millions, for images of some side in pixels."""
        asked = (getattr(self, name) for name in COST_LIMITS)
        values = (None if limit is None else limit * MILLION for limit in asked)
        return CostLimits(resolution, classes, **dict(zip(COST_LIMITS, values, strict=True)))

    @property
    def further(self) -> dict[str, float]:
        """What is asked for beyond MACs and parameters, by name."""
        names = ("max_size", "max_latency", "keep_accuracy")
        asked = {name: value for name in names if (value := getattr(self, name)) is not None}
        asked |= {"latency_batch": self.latency_batch} if "max_latency" in asked else {}
        return asked | ({"keep_probability": self.keep_probability} if "keep_accuracy" in asked else {})

    def allows(self, spent: Cost) -> bool:
        """Whether a cost is within the limits of MACs and parameters; at a limit is within."""
        return all(
            (least is None or amount >= least * MILLION) and (most is None or amount <= most * MILLION)
            for amount, least, most in (
                (spent.macs, self.min_macs, self.max_macs),
                (spent.parameters, self.min_params, self.max_params),
            )
        )

    def __str__(self) -> str:
        limits = [
            f"{'' if least is None else f'{least:g} to ' if most is not None else f'at least {least:g} '}"
            f"{'' if most is None else f'{most:g} '}{what}"
            for least, most, what in (
                (self.min_macs, self.max_macs, "M MACs"),
                (self.min_params, self.max_params, "M parameters"),
            )
            if least is not None or most is not None
        ]
        limits += [] if self.max_size is None else [f"{self.max_size:g} MB"]
        if self.max_latency is not None:
            images = "one image" if self.latency_batch == 1 else f"{self.latency_batch} images"
            limits.append(f"{self.max_latency:g} ms for {images}")
        if self.keep_accuracy is not None:
            limits.append(
                f"{self.keep_accuracy:g} points below the teacher with a probability of {self.keep_probability:.0%}"
            )
        return " and ".join(limits) or "no limit"


@dataclass(frozen=True)
class AskedLimits:
    """Constraints as people ask for them: millions, or a share of the teacher's such as `40%`; `1MB`; `5ms`.

    Attributes:
        max_macs: most multiply-accumulates, in millions or as a share; None for no limit.
        max_params: most parameters, in the same form.
        min_macs: fewest multiply-accumulates, in the same form; None or 0 for no limit.
        min_params: fewest parameters, in the same form; None or 0 for no limit.
        max_size: largest file of the weights, as `dass.amounts.megabytes` reads it; None for no limit.
        max_latency: longest forward pass on the device, as `dass.amounts.milliseconds` reads it; None for no limit.
        latency_batch: number of images in that forward pass, at least 1.
        keep_accuracy: points that the pick may lose against its teacher, 0..100; None for the most accurate.
        keep_probability: how likely it has to be that the pick loses no more; None for `KEEP_PROBABILITY`.
    """

    max_macs: float | str | None = None
    max_params: float | str | None = None
    min_macs: float | str | None = None
    min_params: float | str | None = None
    max_size: float | str | None = None
    max_latency: float | str | None = None
    latency_batch: int = 1
    keep_accuracy: float | None = None
    keep_probability: float | None = None

    @classmethod
    def of_target(cls, target: Target, search: Search) -> "AskedLimits":
        """A target's own limits, and those of the block `search` where it has none."""
        return cls(**{field.name: target.limit(field.name, search) for field in fields(cls)})

    def constraints(self, teacher: Cost) -> Constraints:
        """The limits in numbers.

        Args:
            teacher: cost of the teacher, which shares are of.

        Raises:
            UsageError: neither a number above 0 nor a share of at most 100%, no time or size, a lower limit above the
                upper one, or a number out of its range.
        """
        return Constraints(
            _millions(Limit.upper(self.max_macs), teacher.macs),
            _millions(Limit.upper(self.max_params), teacher.parameters),
            _millions(Limit.lower(self.min_macs), teacher.macs),
            _millions(Limit.lower(self.min_params), teacher.parameters),
            None if self.max_size is None else megabytes(self.max_size),
            None if self.max_latency is None else milliseconds(self.max_latency),
            self.latency_batch,
            self.keep_accuracy,
            KEEP_PROBABILITY if self.keep_probability is None else self.keep_probability,
        )

    def check(self, *, timed: bool = False) -> None:
        """Refuses limits that are none before the teacher is known, which shares are of.

        Args:
            timed: latencies are shown, whose batch `latency_batch` is where there is no limit on them.

        Raises:
            UsageError: as `constraints`; a lower and an upper limit are compared where both are of one kind. Or what
                belongs to a limit that is not given.
        """
        if self.latency_batch != 1 and self.max_latency is None and not timed:
            raise UsageError("a batch of images belongs to a limit on latency: give max_latency too, or leave it out")
        if self.keep_probability is not None and self.keep_accuracy is None:
            raise UsageError(
                "a probability belongs to an accuracy that is kept: give keep_accuracy too, or leave it out"
            )
        for least, most, what in (
            (self.min_macs, self.max_macs, "macs"),
            (self.min_params, self.max_params, "params"),
        ):
            if crossed(Limit.lower(least), Limit.upper(most)):
                raise UsageError(f"nothing has at least {least} and at most {most} of {what}: exchange the limits")
        without_shares = replace(self, max_macs=None, max_params=None, min_macs=None, min_params=None)
        without_shares.constraints(Cost(1, 1, 1, 1))


def _millions(limit: Limit | None, whole: float) -> float | None:
    return None if limit is None else limit.millions(whole)
