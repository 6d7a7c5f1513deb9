"""Runs the methods of a comparison and keeps what they gave: the expensive half of an evaluation.

A method that raises never takes the others down: its scores are left out and the reason is kept. A score that is
NaN or infinite is kept as NaN and ranks last (`dass.evaluation.correlation`).
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dass.baselines.catalogue import make_ranker
from dass.baselines.methods.few_shot import FewShot, few_shot_curve
from dass.baselines.methods.meta_predictors import MetaPredictorRanker
from dass.baselines.methods.multi_fidelity import MultiFidelityRanker
from dass.baselines.ranker import Ranker, Settings
from dass.baselines.scores import Sample, ScoreDatabase, Scores
from dass.device import device_name
from dass.errors import DassError, UsageError
from dass.files import content_id
from dass.method_names import METHODS, REFERENCE, method_label
from dass.predictor.scorer import MetaPredictor
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask, SourceTasks

LOG = logging.getLogger(__name__)
CURVE = "few-shot"  # the method's name under which a few-shot curve is kept
VERSION = 2  # raised by hand when a change of code changes scores


@dataclass(frozen=True, eq=False)
class TargetSample:
    """Architectures of a target that methods are to score.

    Attributes:
        task: the target; methods are not shown the accuracies in it.
        task_id: content id of its data, its teacher and the noise.
        sample: `students` (distilled) or `candidates` (of the search).
        architectures: architectures of the sample.
        seconds: what each took to distil; known for `students` only, and read by few-shot curves.
    """

    task: RankingTask
    task_id: str
    sample: Sample
    architectures: tuple[Architecture, ...]
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Scoring:
    """Everything a method may need, and where its scores go.

    Attributes:
        database: database of scores.
        settings: what params.yaml says; each run puts its own seed and checkpoint in.
        sources: gives the source tasks; called once, and only where something must be learned.
        source_id: content id of the source tasks.
        states: folder of what learning methods keep, so that a new target need not make them learn again.
        shipped: the project's predictor, which is DaSS under the first seed; None to learn that one too.
        shipped_id: id of the shipped predictor.
    """

    database: ScoreDatabase
    settings: Settings
    sources: Callable[[], SourceTasks]
    source_id: str
    states: Path
    shipped: MetaPredictor | None = None
    shipped_id: str = ""
    _learned: list[SourceTasks] = field(default_factory=list, init=False)

    def score(self, name: str, seed: int, samples: Sequence[TargetSample]) -> Iterator[Scores]:
        """Scores the samples by one method; what is on disk is not done again, and all new is on disk once it is given.

        Args:
            name: key in the catalogue; not a few-shot method.
            seed: random seed of the method.
            samples: samples of any targets.

        Raises:
            UsageError: there is no such method.
            DassError: the database cannot be read or written; what the method itself raises is kept, not raised.
        """
        ranker = _Once(partial(self.ranker, name, seed))  # learns when the first sample needs it
        for sample in samples:
            wanted = self._wanted(name, seed, sample)
            yield self._kept(wanted, partial(_timed_scores, ranker, sample, wanted))

    def curve(self, names: Sequence[str], seed: int, sample: TargetSample) -> Scores:
        """The few-shot curve of one target (Fig. 3), with as many shots as the few-shot methods among `names` say.

        At most half of the known students are shown, so that the others make a ranking, and two fewer than each source
        task has, since these are learned from as many: larger numbers of shots are left out.

        Args:
            names: keys in the catalogue, few-shot methods; each is meta-trained with as many students as it is shown.
            seed: random seed of what is learned and of the draws.
            sample: the target's known students.
        """
        methods = {name: make_ranker(name, self.settings) for name in names}
        most = len(sample.architectures) // 2
        shots = {name: made.shots for name, made in methods.items() if isinstance(made, FewShot) and made.shots <= most}
        wanted = self._wanted(
            CURVE, seed, sample, list(shots.values()), sample.task.accuracies, "meta-trained with students"
        )

        def work() -> Scores:
            if not shots:
                raise UsageError(f"{sample.task.name} has too few known students to show some and rank as many")
            fewest = min(len(task.accuracies) for task in self._sources().all)
            rivals = [self.ranker(name, seed) for name, count in shots.items() if count <= fewest - 2]
            meta = self.ranker(REFERENCE, seed)
            assert isinstance(meta, MetaPredictorRanker)
            few = [rival for rival in rivals if isinstance(rival, FewShot)]
            points = few_shot_curve(meta, few, sample.task, sample.seconds, seed=seed)
            return replace(wanted, points=tuple(points), device=_device(sample.task))

        return self._kept(wanted, work)

    def ranker(self, name: str, seed: int) -> Ranker:
        """A method of the catalogue, learned where it learns."""
        file = "".join(sign if sign.isalnum() else "-" for sign in name.lower())
        made = make_ranker(name, replace(self.settings, seed=seed, checkpoint=self.states / f"{file}-{seed}.partial"))
        if self._is_shipped(name, seed) and isinstance(made, MetaPredictorRanker):
            made.predictor_ = self.shipped
        elif METHODS[name].learns:
            made.fit(self._sources().training, self._sources().validation)
        return made

    def _sources(self) -> SourceTasks:
        if not self._learned:
            self._learned.append(self.sources())
        return self._learned[0]

    def _is_shipped(self, name: str, seed: int) -> bool:
        return self.shipped is not None and name == REFERENCE and seed == self.settings.seed

    def _wanted(self, name: str, seed: int, sample: TargetSample, *more: Any) -> Scores:
        """The scores to be found, as yet without values."""
        method = REFERENCE if name == CURVE else name
        made = make_ranker(method, replace(self.settings, seed=seed))
        learned = self.source_id if METHODS[method].learns else ""
        if self._is_shipped(method, seed):
            learned = self.shipped_id
        arch_ids = tuple(architecture.arch_id for architecture in sample.architectures)
        key = content_id(
            [VERSION, method_label(name), _arguments(made), learned, sample.task_id, sample.sample, arch_ids, more]
        )
        kind: Sample = "few-shot" if name == CURVE else sample.sample
        return Scores(name, sample.task.name, kind, seed, key, arch_ids if kind != "few-shot" else ())

    def _kept(self, wanted: Scores, work: Callable[[], Scores]) -> Scores:
        """What is on disk, else the outcome of the work, put there."""
        if stored := self.database.find(wanted):
            return stored
        try:
            scores = work()
        except Exception as error:  # whatever a method raises is its own failure, not the comparison's
            if not isinstance(error, DassError):
                LOG.exception("%s failed on %s", wanted.method, wanted.target)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            scores = replace(wanted, arch_ids=(), failure=reason[:300])
        self.database.put(scores)
        return scores


# Settings that came later than the first scores, with the value that everything had before: left out of keys there.
LATER = {"statistics": "running", "unit": 50.0, "shots": None}


def _arguments(method: Ranker) -> dict[str, Any]:
    """What a method was made with; not where it computes and keeps state."""
    return {
        name: _argument(value)
        for name, value in method.arguments().items()
        if name not in ("checkpoint", "device", "store", "workers") and (name not in LATER or value != LATER[name])
    }


def _argument(value: Any) -> Any:
    """As it stands in the key of scores, which has methods by their labels since it had so before they had keys."""
    if isinstance(value, str):
        return method_label(value)
    return value if isinstance(value, int | float | None) else repr(value)


class _Once:
    """Makes a method when it is first asked for; a failure is not tried again for every target."""

    def __init__(self, make: Callable[[], Ranker]) -> None:
        self._make = make
        self._made: Ranker | Exception | None = None

    def __call__(self) -> Ranker:
        if self._made is None:
            try:
                self._made = self._make()
            except Exception as error:
                self._made = error
        if isinstance(self._made, Exception):
            raise self._made
        return self._made


def _timed_scores(ranker: _Once, sample: TargetSample, wanted: Scores) -> Scores:
    method, count = ranker(), len(sample.architectures)
    blind = replace(sample.task, architectures=(), accuracies=())  # a method cannot look at what it is to predict
    started = time.perf_counter()
    low = high = np.empty(0)
    if isinstance(method, MultiFidelityRanker):
        made = method.predict(blind, sample.architectures)
        values, low, high = made.mean, made.low, made.high
    else:
        values = np.asarray(method.score(blind, sample.architectures), dtype=np.float64)
    seconds = (time.perf_counter() - started) / max(1, count)
    if isinstance(method, MultiFidelityRanker):
        seconds = method.seconds_  # of proxies from the store too, which takes no time now
    if values.shape != (count,):
        raise UsageError(f"{count} architectures were given and scores of shape {list(values.shape)} came")
    return replace(
        wanted, values=tuple(values.tolist()), low=tuple(low.tolist()), high=tuple(high.tolist()), seconds=seconds,
        device=_device(sample.task),
    )  # fmt: skip


def _device(task: RankingTask) -> str:
    return device_name(task.teacher.device)
