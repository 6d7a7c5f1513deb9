"""What methods gave, on disk: one JSON file of scores per target, so that nothing is scored twice."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dass.baselines.methods.few_shot import FewShotPoint
from dass.errors import DassError
from dass.evaluation.report import GroundTruth
from dass.evaluation.tables import COVERED, SECONDS, CorrelationRow
from dass.files import read_json, write_text
from dass.method_names import method_key
from dass.sealed import sealed, unsealed
from dass.space.architecture import Architecture

AGAIN = "restore it with `dvc checkout`, or delete it and run the rank stage again"
Sample = Literal["students", "candidates", "few-shot"]


@dataclass(frozen=True)
class Scores:
    """What one method, under one seed, gave for one sample of a target's architectures.

    Attributes:
        method: its key in the catalogue; for the few-shot curve, which all numbers of shots share, `few-shot`.
        target: name of the target.
        sample: `students` whose accuracy is known, `candidates` of the search, or `few-shot` for a curve.
        seed: random seed of the method.
        key: content id of everything that the scores depend on.
        arch_ids: ids of the architectures that were scored.
        values: one score each, higher for better; NaN where a score was not finite.
        low: lower ends of the scores' 80% intervals, of a method that gives them; else empty.
        high: upper end of each interval.
        points: points of the few-shot curve.
        seconds: to score one architecture, whatever is done once per target included, learning not.
        device: device of the computation, such as `cpu`.
        failure: empty, or why there are no scores.
    """

    method: str
    target: str
    sample: Sample
    seed: int
    key: str
    arch_ids: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    points: tuple[FewShotPoint, ...] = ()
    seconds: float = math.nan
    device: str = ""
    failure: str = ""

    @property
    def identity(self) -> tuple[str, str, int]:
        """What a newer result of the same kind replaces."""
        return self.method, self.sample, self.seed

    def of(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """The scores of these architectures, in their order.

        Raises:
            DassError: one was not scored.
        """
        values = dict(zip(self.arch_ids, self.values, strict=True))
        try:
            return np.array([values[architecture.arch_id] for architecture in architectures], dtype=np.float64)
        except KeyError as error:
            raise DassError(
                f"{self.method} has no score of {self.target}'s architecture {error}: run the rank stage again"
            ) from error


class ScoreDatabase:
    """Scores in a folder, `<target>.json` each; a file is replaced whole, so a kill loses the scores in flight only.

    Args:
        folder: path of the folder; created at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, target: str) -> list[Scores]:
        """All that is known of a target.

        Raises:
            DassError: the file is damaged.
        """
        path = self._path(target)
        if not path.exists():
            return []
        try:
            return [_from_json(unsealed(value, path, AGAIN)) for value in read_json(path)]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DassError(f"{path} holds no scores ({error}): {AGAIN}") from error

    def find(self, wanted: Scores) -> Scores | None:
        """What was found before under the same key; a failure is none: it is tried again."""
        for scores in self.read(wanted.target):
            if scores.identity == wanted.identity and scores.key == wanted.key and not scores.failure:
                return scores
        return None

    def put(self, scores: Scores) -> None:
        """Adds scores in place of older ones of the same method, sample and seed.

        Raises:
            DassError: the file is damaged or cannot be written.
        """
        others = [other for other in self.read(scores.target) if other.identity != scores.identity]
        lines = [
            json.dumps(sealed(_to_json(item)), allow_nan=False)
            for item in sorted([*others, scores], key=lambda s: s.identity)
        ]
        write_text(self._path(scores.target), "[\n" + ",\n".join(lines) + "\n]\n")

    def _path(self, target: str) -> Path:
        return self.folder / f"{target}.json"


def score_arrays(
    scores: Sequence[Scores], architectures: Mapping[str, Sequence[Architecture]]
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Scores [seeds, n] of the students, by method and target; a method whose one seed failed there has none.

    Args:
        scores: scores of any methods, targets and seeds.
        architectures: the n students of each target, in the order wanted.
    """
    failed = {(item.method, item.target) for item in scores if item.failure and item.sample == "students"}
    lists: dict[str, dict[str, list[NDArray[np.float64]]]] = {}
    for item in scores:
        if item.sample == "students":
            by_target = lists.setdefault(item.method, {})
            if (item.method, item.target) not in failed:
                by_target.setdefault(item.target, []).append(item.of(architectures[item.target]))
    return {
        method: {target: np.stack(values) for target, values in by_target.items()}
        for method, by_target in lists.items()
    }


def time_rows(scores: Sequence[Scores], counts: Mapping[str, bool]) -> list[CorrelationRow]:
    """Seconds per student: the mean over a method's seeds, between the quickest and the slowest.

    Args:
        scores: scores of any methods, targets and seeds.
        counts: whether a target enters means.
    """
    groups: dict[tuple[str, str], list[Scores]] = {}
    for item in scores:
        if item.sample == "students" and not item.failure:
            groups.setdefault((item.method, item.target), []).append(item)
    rows = []
    for (method, target), group in groups.items():
        times, n = [item.seconds for item in group], len(group[0].values)
        mean = sum(times) / len(times)
        rows.append(CorrelationRow(method, target, SECONDS, mean, min(times), max(times), n, counts=counts[target]))
    return rows


def coverage_rows(
    scores: Sequence[Scores], architectures: Mapping[str, Sequence[Architecture]], ground_truths: Sequence[GroundTruth]
) -> list[CorrelationRow]:
    """Of methods that give 80% intervals, the share of the students whose accuracy lies within theirs.

    The interval of a share is Wilson's, at 95%, as if students were independent.

    Args:
        scores: scores of any methods, targets and seeds.
        architectures: architectures of each target, in the order of its distilled students.
        ground_truths: accuracies of the targets' students.
    """
    from scipy.stats import binomtest

    rows = []
    for item in scores:
        if item.sample == "students" and item.low:
            [ground_truth] = [one for one in ground_truths if one.target == item.target]
            order = [item.arch_ids.index(one.arch_id) for one in architectures[item.target]]
            low, high = (np.array(ends)[order] for ends in (item.low, item.high))
            inside = int(((low <= ground_truth.accuracies) & (ground_truth.accuracies <= high)).sum())
            ends = binomtest(inside, len(order)).proportion_ci(method="wilson")
            rows.append(
                CorrelationRow(
                    item.method, item.target, COVERED, inside / len(order), ends.low, ends.high, len(order),
                    counts=ground_truth.counts,
                )
            )  # fmt: skip
    return rows


def _to_json(scores: Scores) -> dict[str, Any]:
    numbers = {
        name: [value if math.isfinite(value) else None for value in getattr(scores, name)]
        for name in ("values", "low", "high")
    }
    return asdict(scores) | numbers | {"seconds": scores.seconds if math.isfinite(scores.seconds) else None}


def _from_json(value: dict[str, Any]) -> Scores:
    scores = Scores(**{**value, "method": method_key(value["method"])})  # by whatever name it was filed
    return replace(
        scores,
        arch_ids=tuple(scores.arch_ids),
        values=_numbers(scores.values),
        low=_numbers(scores.low),
        high=_numbers(scores.high),
        points=tuple(FewShotPoint(**point) for point in value["points"]),
        seconds=math.nan if scores.seconds is None else float(scores.seconds),
    )


def _numbers(values: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if number is None else float(number) for number in values)
