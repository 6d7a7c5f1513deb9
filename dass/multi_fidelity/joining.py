"""One multi-fidelity predictor from several, so that it knows teachers of several families."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np

from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.fidelity import Fidelity
from dass.multi_fidelity.checkpoint import load_multi_fidelity, save_multi_fidelity
from dass.multi_fidelity.gaussian_process import Sample, TaskProcess
from dass.multi_fidelity.predictor import MultiFidelityPredictor
from dass.multi_fidelity.validation import LeftOut


def join(parts: Sequence[MultiFidelityPredictor]) -> MultiFidelityPredictor:
    """Learns from all students that several predictors have learned from.

    Features name no family and accuracies are relative to the teacher's, so students of several families are students
    of several tasks. What differs between families widens the variance of a new task.

    Args:
        parts: two or more, learned with the same weights of the distillation loss.

    Raises:
        UsageError: they differ in these weights or have no fidelity in common.
    """
    first = parts[0]
    if {(one.alpha, one.temperature) for one in parts} != {(first.alpha, first.temperature)}:
        raise UsageError("predictors of other weights of the distillation loss cannot be joined")
    shared = [one for one in first.processes_ if all(one in part.processes_ for part in parts)]
    if not shared:
        raise UsageError("predictors without a common fidelity cannot be joined")
    joined = MultiFidelityPredictor(alpha=first.alpha, temperature=first.temperature)
    joined.processes_ = {fidelity: _joined([part.processes_[fidelity] for part in parts]) for fidelity in shared}
    return joined


def _joined(processes: Sequence[TaskProcess]) -> TaskProcess:
    samples = [process.sample_ for process in processes]
    counts = [int(sample.tasks.max()) + 1 for sample in samples]
    before = np.cumsum([0, *counts[:-1]])
    return TaskProcess(processes[0].groups).fit(
        Sample(
            np.concatenate([sample.features for sample in samples]),
            np.concatenate([sample.tasks + offset for sample, offset in zip(samples, before, strict=True)]),
            np.concatenate([sample.targets for sample in samples]),
            np.concatenate([sample.noise for sample in samples]),
        )
    )


def leave_parts_out(parts: Sequence[MultiFidelityPredictor]) -> Mapping[Fidelity, LeftOut]:
    """How each part's students are predicted by what the other parts have learned: means over all source tasks.

    Args:
        parts: two predictors or more, as for `join`.

    Returns:
        By fidelity; without those at which a measurement of some student broke down.
    """
    by_fidelity: dict[Fidelity, list[LeftOut]] = {}
    for part in parts:
        others = [other for other in parts if other is not part]
        predictor = join(others) if len(others) > 1 else others[0]
        for fidelity in part.processes_:
            if fidelity in predictor.processes_:
                by_fidelity.setdefault(fidelity, []).extend(_left_out(part, predictor, fidelity))
    return {
        fidelity: LeftOut(mean(one.src for one in results), mean(one.covered for one in results))
        for fidelity, results in by_fidelity.items()
        if results
    }


def _left_out(part: MultiFidelityPredictor, predictor: MultiFidelityPredictor, fidelity: Fidelity) -> Iterator[LeftOut]:
    samples = {member: part.processes_[member].sample_ for member in predictor.members(fidelity)}
    sample = part.processes_[fidelity].sample_
    if any(len(one.targets) != len(sample.targets) for one in samples.values()):
        return
    middle, variance = predictor.relative(
        {member: one.features for member, one in samples.items()}, source_dataset=True
    )
    inside = np.abs(middle - sample.targets) <= predictor.spread(80.0) * np.sqrt(variance + sample.noise)
    for task in np.unique(sample.tasks):
        mine = sample.tasks == task
        yield LeftOut(float(spearman(middle[mine], sample.targets[mine])), float(inside[mine].mean()))


def join_files(files: Sequence[Path], joined: Path) -> None:
    """Joins predictors on disk; the card says how each one's students are predicted by the others.

    Args:
        files: paths of two predictors or more.
        joined: file to write; the card keeps the search space of the first predictor.

    Raises:
        UsageError: they were learned from images of another size or students of another recipe, or as `join`.
        DassError: a file is missing or damaged.
    """
    parts, cards = zip(*(load_multi_fidelity(file) for file in files), strict=True)
    for file, card in zip(files, cards, strict=True):
        if (card.resolution, card.recipe) != (cards[0].resolution, cards[0].recipe):
            raise UsageError(
                f"{file} and {files[0]} were learned with another data.resolution or distillation: make them alike"
            )
    left_out = leave_parts_out(parts)
    card = replace(
        cards[0],
        tasks=tuple(task for one in cards for task in one.tasks),
        teacher_ids=tuple(teacher for one in cards for teacher in one.teacher_ids),
        students=sum(one.students for one in cards),
        left_out={fidelity.key: result.src for fidelity, result in left_out.items()},
        covered={fidelity.key: result.covered for fidelity, result in left_out.items()},
        seconds=sum(one.seconds for one in cards),
    )
    save_multi_fidelity(joined, join(parts), card)
