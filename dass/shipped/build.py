"""Makes a release of what a pipeline has learned, if it is good enough to be shipped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from dass.errors import DassError, UsageError
from dass.evaluation.answers import share_interval
from dass.evaluation.correlation import spearman
from dass.fidelity import FIDELITIES
from dass.multi_fidelity.checkpoint import load_multi_fidelity
from dass.predictor.checkpoint import load_predictor
from dass.shipped.card import Kind, Release, ReleaseCard, Source, TargetScore, check_free, write_release
from dass.shipped.fixture import STUDENTS, Fixture, read_fixture, write_fixture
from dass.shipped.predict import EMBEDDING, predict
from dass.training.workers import Workers

FIXTURE_IMAGES = 512  # training images of a fixture, at most
FIXTURE_FIDELITIES = FIDELITIES[:4]  # longer trainings would take minutes to verify
LEAST_SRC = 0.5  # mean Spearman correlation on targets not learned from
COVERED = (70.0, 90.0)  # percent of the students within their 80% intervals
LEAST_STUDENTS = 12  # of a target, or its correlation says nothing


def flaws(card: ReleaseCard) -> list[str]:
    """What keeps a predictor from being shipped, in words; nothing for one that may be.

    Args:
        card: of the predictor, targets included.
    """
    found = []
    if not card.targets:
        found.append("it was measured on no target")
    for target in card.targets:
        if target.students < LEAST_STUDENTS:
            found.append(f"{target.target} has {target.students} students, at least {LEAST_STUDENTS} are needed")
        if target.covered is not None and _far(target.covered, target.students):
            found.append(
                f"on {target.target} its 80% intervals hold {100 * target.covered:.0f}% of {target.students} students, "
                f"too far from {COVERED[0]:.0f} to {COVERED[1]:.0f}% to be chance"
            )
    known = [(target.covered, target.students) for target in card.targets if target.covered is not None]
    if known:
        covered = 100 * sum(share * students for share, students in known) / sum(students for _, students in known)
        if not COVERED[0] <= covered <= COVERED[1]:
            found.append(
                f"on all targets its 80% intervals hold {covered:.0f}% of the students, "
                f"{COVERED[0]:.0f} to {COVERED[1]:.0f}% are asked for"
            )
    src = mean(target.src for target in card.targets) if card.targets else 1.0
    if not src >= LEAST_SRC:
        found.append(f"the mean correlation on targets is {src:.2f}, at least {LEAST_SRC} is asked for")
    if not card.sources:
        found.append("it says nothing of the images that it learned from")
    if not card.licence:
        found.append("it has no licence")
    return found


def _far(covered: float, students: int) -> bool:
    """Whether so many students tell that the share which intervals hold is not the one that is asked for."""
    low, high = share_interval(round(covered * students), students)
    return high < COVERED[0] or low > COVERED[1]


@dataclass(frozen=True)
class Origin:
    """What a predictor's own file does not say of where it comes from.

    Attributes:
        summary: one sentence for people.
        families: names of the families of its source teachers.
        general: whether it is offered for any teacher.
        sources: the images that it learned from.
        seeds: of the source students.
        licence: licence of the weights.
        commit: git commit of the project when it was learned.
    """

    summary: str
    families: tuple[str, ...]
    general: bool
    sources: tuple[Source, ...]
    seeds: tuple[int, ...]
    licence: str
    commit: str


def build(
    folder: Path,
    kind: Kind,
    weights: Path,
    origin: Origin,
    targets: Sequence[Fixture],
    workers: Workers,
    *,
    fixture: str = "",
) -> Release:
    """Measures a predictor on targets and writes its release.

    Args:
        folder: of the release; its name is the predictor's.
        kind: kind of the predictor.
        weights: as the pipeline wrote them, with their JSON.
        origin: origin of the students.
        targets: tasks that it has not learned from, with their students.
        workers: worker processes that run short trainings.
        fixture: name of the target whose students `verify` shall predict again; empty for none. It is written beside
            the release where it is not there yet.

    Raises:
        UsageError: there is no such target.
        DassError: a file is damaged, workers died, or the predictor is not good enough, with all that is wrong.
    """
    known = {target.card.task: target for target in targets}
    if fixture and fixture not in known:
        raise UsageError(f"there is no target {fixture!r} to verify by: there are {', '.join(known) or 'none'}")
    check_free(folder)
    facts = _facts(kind, weights)
    card = ReleaseCard(
        name=folder.name, kind=kind, summary=origin.summary, families=origin.families, general=origin.general,
        sources=origin.sources, seeds=origin.seeds, licence=origin.licence, commit=origin.commit, fixture="",
        expected={}, targets=tuple(_score(kind, weights, target, workers) for target in targets), **facts,
    )  # fmt: skip
    if found := flaws(card):
        raise DassError(f"{card.name} is not good enough to be shipped: {'; '.join(found)}")
    if fixture:
        place = folder.parent / "fixtures" / fixture
        small = _small(known[fixture])
        if not (place / STUDENTS).exists():
            write_fixture(place, small)
        small = read_fixture(place)  # one that is there is the one that `verify` will read
        kinds = (
            (EMBEDDING,) if kind == "dass" else [one.key for one in FIXTURE_FIDELITIES if one.key in facts["left_out"]]
        )
        expected = {one: _src(predict(kind, weights, small, one, workers).mean, small) for one in kinds}
        card = replace(card, fixture=fixture, expected=expected)
    return write_release(folder, weights, card)


def _facts(kind: Kind, weights: Path) -> Mapping[str, Any]:
    """What the predictor's own file says."""
    if kind == "dass":
        card = load_predictor(weights)[1]
        students = round(card.students * len(card.training))
        return {
            "resolution": card.resolution, "students": students, "recipe": {}, "covered": {},
            "left_out": {EMBEDDING: card.validation_src}, "torch_version": card.torch_version,
        }  # fmt: skip
    multi_fidelity = load_multi_fidelity(weights)[1]
    return {
        "resolution": multi_fidelity.resolution,
        "students": multi_fidelity.students,
        "recipe": multi_fidelity.recipe,
        "covered": multi_fidelity.covered,
        "left_out": multi_fidelity.left_out,
        "torch_version": multi_fidelity.torch_version,
    }


def _score(kind: Kind, weights: Path, target: Fixture, workers: Workers) -> TargetScore:
    """The predictor on a target, from the costliest proxies that it has learned."""
    proxies = EMBEDDING if kind == "dass" else list(load_multi_fidelity(weights)[0].processes_)[-1].key
    made, reached = predict(kind, weights, target, proxies, workers), np.array(target.accuracies)
    inside = None if made.low is None else float(np.mean((made.low <= reached) & (reached <= made.high)))
    return TargetScore(
        target=target.card.task,
        family=target.teacher.architecture.family.name,
        content=target.data.data_id,
        students=len(reached),
        test_images=target.test_images,
        src=_src(made.mean, target),
        covered=inside,
    )


def _src(predicted: np.ndarray, target: Fixture) -> float:
    return float(spearman(predicted, np.array(target.accuracies)))


def _small(target: Fixture) -> Fixture:
    """The target with fewer training images, drawn with the same chance from all."""
    count = len(target.data.train_labels)
    chosen = torch.from_numpy(np.sort(np.random.default_rng(0).permutation(count)[:FIXTURE_IMAGES]))
    data = target.data
    images = data.train_images.permute(0, 2, 3, 1)[chosen].permute(0, 3, 1, 2)
    small = replace(
        data,
        train_images=images,
        train_labels=data.train_labels[chosen],
        test_images=data.test_images[:0],
        test_labels=data.test_labels[:0],
    )
    # The same on processors with bfloat16 and without, so that a correlation can be held to its card everywhere.
    return replace(
        target,
        data=small,
        left_out=target.test_images,
        recipe=target.recipe.model_copy(update={"precision": "float32"}),
    )
