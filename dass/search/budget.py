"""How much a search looks at: as people ask for it, and in numbers for each kind of search."""

from dataclasses import dataclass

from dass.config import Search
from dass.errors import UsageError

DRAWN = 3000  # architectures of a race at most, where the time says how many are tried on one batch
PER_STUDENT = 8  # candidates of a race are tried for each student that trains, where nothing else is said


@dataclass(frozen=True)
class AskedBudget:
    """How much a search is to look at, as people ask for it; None leaves a number to params.yaml or to the time.

    Attributes:
        candidates: architectures that are looked at, at most; at least 1.
        one_batch: how many of them are tried on one batch, at least 1.
        k_step: how many of those train for some steps.
        seconds: how long the search may take; then as many train as fit.

    Raises:
        UsageError: `k_step` and `seconds`, which both say how many students train.
    """

    candidates: int | None = None
    one_batch: int | None = None
    k_step: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and self.k_step is not None:
            raise UsageError("k_step and seconds both say how many students train: give one of them")

    @property
    def given(self) -> list[str]:
        """Names of what is asked for beside the number of candidates."""
        return [name for name in ("one_batch", "k_step", "seconds") if getattr(self, name) is not None]


@dataclass(frozen=True)
class SearchBudget:
    """How many proxies a search may collect.

    Attributes:
        candidates: architectures that are looked at all.
        one_batch: the best of them by size and noise, which are tried on one batch.
        k_step: the best of those, which train for 10 steps; half of them for 20, a quarter for 50, as far as the
            multi-fidelity predictor goes; for 5 where it goes no further.
        seconds: None, or how long the search may take: the best are tried on one batch until a third of it has gone,
            and every length of training gets an equal share of what is left; `k_step` is not looked at. What is found
            then depends on how fast the machine is. The first rung looks at all candidates in any case, and what was
            begun is finished.
    """

    candidates: int
    one_batch: int
    k_step: int
    seconds: float | None = None

    @classmethod
    def of(cls, block: Search, asked: AskedBudget) -> "SearchBudget":
        """What is asked for; what is None is as params.yaml has it, cut to so many candidates, or as time allows.

        Args:
            block: the block `search` of params.yaml.
            asked: numbers that were given.

        Raises:
            UsageError: what is asked for contradicts itself.
        """
        candidates, one_batch, k_step = asked.candidates or block.candidates, asked.one_batch, asked.k_step
        if (one_batch or 0) > candidates:
            raise UsageError(f"one_batch ({one_batch}) cannot exceed candidates ({candidates})")
        most, which = (candidates, "candidates") if one_batch is None else (one_batch, "one_batch")
        if (k_step or 0) > most:
            raise UsageError(f"k_step ({k_step}) cannot exceed {which} ({most})")
        if one_batch is None and k_step is not None:
            one_batch = min(max(block.one_batch, k_step), candidates)
        if one_batch is None:
            one_batch = block.one_batch if asked.seconds is None else candidates
        one_batch = min(one_batch, candidates)
        k_step = min(block.k_step if k_step is None else k_step, one_batch)
        return cls(candidates, one_batch, k_step, asked.seconds)


@dataclass(frozen=True)
class RaceSize:
    """How many students take part.

    Attributes:
        candidates: architectures that are tried on one batch, at least 1; fewer where the time is limited.
        students: the best of them by their loss there, which train, at least 1.
        seconds: None, or how long the search may take: no more students start than fit, with all the rounds that
            follow. What is found then depends on how fast the machine is.
    """

    candidates: int
    students: int
    seconds: float | None = None

    @classmethod
    def of(cls, block: Search, asked: AskedBudget) -> "RaceSize":
        """What is asked for; what is None is as params.yaml has it, or as the time allows.

        Args:
            block: the block `search` of params.yaml.
            asked: numbers that were given.

        Raises:
            UsageError: no student would train, or two numbers contradict each other.
        """
        candidates, one_batch, k_step = asked.candidates, asked.one_batch, asked.k_step
        if k_step == 0 or (k_step is None and asked.seconds is None and block.k_step == 0):
            where = "k_step" if k_step == 0 else "search.k_step of params.yaml"
            raise UsageError(f"{where} is 0, and a race needs students that train: give at least 1")
        most = min(candidates or DRAWN, one_batch or DRAWN)
        if (candidates or one_batch) and k_step is not None and k_step > most:
            raise UsageError(f"{k_step} students cannot train where {most} are tried: give more, or fewer for k_step")
        if asked.seconds is not None:
            return cls(most, most, asked.seconds)
        students = k_step or block.k_step
        tried = one_batch or max(students, min(block.one_batch, PER_STUDENT * students))
        tried = min(tried, candidates or tried)
        return cls(tried, min(students, tried))
