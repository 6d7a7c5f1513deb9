"""What a search came to, and its file."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dass.config import SearchKind
from dass.errors import DassError, UsageError
from dass.fidelity import Fidelity
from dass.files import write_text
from dass.sealed import read_sealed, sealed
from dass.search.candidates import Candidate
from dass.search.constraints import COST_LIMITS, Constraints
from dass.search.pareto import pareto_front
from dass.search.select import choose, kept_probability
from dass.space.architecture import Architecture
from dass.space.cost import Cost
from dass.tasks.task import Task

if TYPE_CHECKING:
    from dass.search.fitting import Fitting

LATER = ("seconds", "latency", "missed", "timed_on")  # fields that not every file has
IN_FILES = {"constraints": "budget"}  # what files have called it from the first


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        target: name of the target that was searched for.
        teacher_id: 12 hex digits of the teacher's weights.
        teacher_accuracy: percent of the test images: the guide.
        predictor_id: the predictor that ranked; empty for a race.
        constraints: limits on the cost of the pick.
        pick: the best candidate within the constraints.
        ranking: all candidates, the best first.
        seconds: adaptation and scoring; 0 where the result was read from a file.
        latency: milliseconds of the pick as measured on the device; None where there is no limit on it.
        missed: how many came before the pick and were slower than the limit when measured.
        timed_on: what the latency was measured on; empty where it is not known.
    """

    target: str
    teacher_id: str
    teacher_accuracy: float
    predictor_id: str
    constraints: Constraints
    pick: Candidate
    ranking: tuple[Candidate, ...]
    seconds: float
    latency: float | None = None
    missed: int = 0
    timed_on: str = ""

    @property
    def method(self) -> SearchKind:
        """What ranked: the paper's predictor, the multi-fidelity predictor, or a race."""
        if not self.predictor_id:
            return "race"
        return "multi_fidelity" if self.pick.fidelity else "dass"

    @property
    def predicted(self) -> float | None:
        """Percent that the pick is predicted to reach; None for a race, which predicts nothing."""
        return None if self.method == "race" else self.pick.predicted

    @property
    def probability(self) -> float | None:
        """How likely the pick is to stay as close to its teacher as was asked; None where that is not known."""
        return kept_probability(self.pick, self.constraints, self.teacher_accuracy)

    @property
    def accuracy_label(self) -> str:
        """What the candidates' accuracies are, for the axis of a picture."""
        steps = "held-out accuracy after some steps (%)"
        return steps if self.method == "race" else "predicted accuracy (%)"

    @property
    def front(self) -> list[Candidate]:
        """The Pareto front of predicted accuracy against MACs, by ascending MACs."""
        return pareto_front(self.ranking)


def concluded(
    task: Task,
    predictor_id: str,
    constraints: Constraints,
    ranking: Sequence[Candidate],
    fits: "Fitting | None",
    started: float,
) -> SearchResult:
    """Picks from a ranking, measures the pick where that is asked for, and stops the clock.

    Args:
        task: task of the target.
        predictor_id: id of the predictor that ranked; empty for a race.
        constraints: limits on the cost of the pick.
        ranking: ranked candidates, the best first.
        fits: measures latency; None where there is no limit.
        started: when the search began, as `time.perf_counter` had it.

    Raises:
        UsageError: nothing keeps the constraints, or all that were measured are too slow.
    """
    choice = choose(ranking, constraints, teacher_accuracy=task.teacher_accuracy, fitting=fits)
    return SearchResult(
        target=task.name,
        teacher_id=task.card.teacher_id,
        teacher_accuracy=task.teacher_accuracy,
        predictor_id=predictor_id,
        constraints=constraints,
        pick=choice.candidate,
        ranking=tuple(ranking),
        seconds=time.perf_counter() - started,
        latency=choice.latency,
        missed=choice.missed,
        timed_on="" if choice.latency is None or fits is None else fits.timed_on,
    )


def to_json(result: SearchResult) -> dict[str, Any]:
    """The result as a JSON value, without its time."""
    # Not how long it took: the same search gives the same file.
    plain = {
        IN_FILES.get(field.name, field.name): getattr(result, field.name)
        for field in fields(result)
        if field.name not in LATER
    }
    constraints = result.constraints
    names = () if result.latency is None else ("latency", "missed", "timed_on")
    measured = {name: getattr(result, name) for name in names}
    return (
        plain
        | measured
        | {
            "budget": {name: getattr(constraints, name) for name in (*COST_LIMITS, *constraints.further)},
            "pick": candidate_json(result.pick),
            "ranking": [candidate_json(candidate) for candidate in result.ranking],
        }
    )


def save_search(path: Path, result: SearchResult) -> None:
    """Writes a result, atomically."""
    write_text(path, json.dumps(sealed(to_json(result)), separators=(",", ":")) + "\n")


def load_search(path: Path) -> SearchResult:
    """Reads what `save_search` wrote.

    Raises:
        DassError: missing, of another form, or not as it was written.
    """
    value = read_sealed(path, "run the search stage again")
    try:
        constraints = Constraints(**value.pop(IN_FILES["constraints"]))
        return SearchResult(
            **{
                **value,
                "seconds": 0.0,
                "constraints": constraints,
                "pick": _from_json(value["pick"]),
                "ranking": tuple(map(_from_json, value["ranking"])),
            }
        )
    except (KeyError, TypeError, AttributeError, UsageError) as error:
        raise DassError(f"{path} is not a search result ({error}): run the search stage again") from error


def candidate_json(candidate: Candidate) -> dict[str, Any]:
    """One candidate as a JSON value: id, architecture, prediction and its interval in percent, counters of its cost."""
    architecture = candidate.architecture
    fidelity, interval = candidate.fidelity, {"low": candidate.low, "high": candidate.high}
    return {
        "arch_id": architecture.arch_id,
        "architecture": architecture.to_json(),
        "predicted_accuracy": candidate.predicted,
        "score": candidate.score,
        **({} if fidelity is None else {**interval, "fidelity": fidelity.key}),
        **asdict(candidate.cost),
    }


def _from_json(value: dict[str, Any]) -> Candidate:
    names = ("parameters", "macs", "macs_bn1", "macs_bn3_pool")
    cost = Cost(**{name: value[name] for name in names})
    key = value.get("fidelity") or value.get("rung")  # as earlier versions called it
    interval = (value.get("low"), value.get("high"), Fidelity.parse(key) if key else None)
    score = value.get("score", value["predicted_accuracy"])  # what earlier versions wrote was not cut to the scale
    return Candidate(Architecture.from_json(value["architecture"]), score, cost, *interval)
