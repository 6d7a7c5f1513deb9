"""Both terms of DisWOT against outer products, Gram matrices and gradients formed in full."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dass.baselines.methods.diswot import STARTS, DisWOT, relation, semantic, view_of
from dass.baselines.methods.probes import probe_batch, random_network, scratch_copy
from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.families.ofa_resnet import OfaResNet
from dass.networks.remapping import remap
from dass.predictor.embeddings import fixed_noise
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.tasks.ranking import RankingTask
from tests.factories import make_teacher, teacher_card

CPU = torch.device("cpu")


def test_the_gradient_in_closed_form_is_autograds(target: RankingTask) -> None:
    batch = probe_batch(target.data, 12, 0, CPU)
    network = random_network(target.architectures[0], 3, 1, CPU)
    view = view_of(network, batch)
    F.cross_entropy(network(batch.images), batch.labels).backward()
    torch.testing.assert_close(view.gradient, network.classifier.weight.grad, rtol=1e-4, atol=1e-6)
    assert view.features.shape == (12, 10, 2, 2)


def test_the_semantic_term_by_outer_products() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher, student = (torch.randn(3, 5, generator=generator) for _ in range(2))
    student[1, 2] = 0  # a dead channel: its row of the outer product stays zero
    outer = [F.normalize(g[:, :, None] * g[:, None, :], dim=2) for g in (teacher, student)]
    expected = -float((outer[0] - outer[1]).square().sum()) / (3 * 5)
    assert semantic(teacher, student) == pytest.approx(expected, rel=1e-5)
    assert semantic(teacher, 7 * teacher) == pytest.approx(0, abs=1e-6)
    assert semantic(3 * teacher, student) == pytest.approx(expected, rel=1e-5)
    assert expected < 0


def test_the_relation_term_by_loops() -> None:
    generator = torch.Generator().manual_seed(1)
    teacher, student = torch.randn(4, 3, 2, 2, generator=generator), torch.randn(4, 5, 1, 1, generator=generator)
    grams = []
    for features in (teacher.numpy(), student.numpy()):
        gram = np.array([[(a * b).sum() for b in features] for a in features])
        grams.append(gram / np.sqrt((gram**2).sum(1, keepdims=True)))
    expected = -((grams[0] - grams[1]) ** 2).sum() / 16
    assert relation(teacher, student) == pytest.approx(expected, rel=1e-5)
    assert relation(teacher, 0.5 * student) == pytest.approx(expected, rel=1e-5)
    assert relation(teacher, teacher) == 0


def test_starts_are_what_they_say(target: RankingTask) -> None:
    some = target.architectures[:3]
    batch = probe_batch(target.data, 12, 5, CPU)
    trained = view_of(scratch_copy(target.teacher), batch)
    untrained = view_of(random_network(target.space.largest, 3, 6, CPU), batch)
    random = [view_of(random_network(a, 3, 5, CPU), batch) for a in some]
    remapped = [view_of(remap(target.teacher, a).train(), batch) for a in some]
    pairs = {"random": (untrained, random), "trained teacher": (trained, random), "remapped": (trained, remapped)}
    for start, (teacher, students) in pairs.items():
        expected = [relation(teacher.features, s.features) + semantic(teacher.gradient, s.gradient) for s in students]
        found = DisWOT(start, batch_size=12, seed=5).score(target, some)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_teacher_itself_is_the_most_like_it(target: RankingTask) -> None:
    scores = DisWOT("remapped").score(target, [target.space.largest, *target.architectures[:5]])
    assert scores[0] == pytest.approx(0, abs=1e-6)
    assert (scores[1:] < -1e-4).all()


def test_an_unknown_start_is_refused(target: RankingTask) -> None:
    with pytest.raises(UsageError, match="'cold'"):
        DisWOT("cold").score(target, target.architectures)  # type: ignore[arg-type]


@pytest.mark.parametrize("start", STARTS)
def test_students_with_a_narrower_last_stage_have_zeros_there(start: str) -> None:
    family = OfaResNet((24, 32, 40, 48), (8, 16))
    widths = ((8,), (8,), (16,), (16,))
    teacher = make_teacher(Architecture(widths, family))
    images = torch.randint(0, 256, (12, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.arange(12) % 3
    data = TaskData("t", ("a", "b", "c"), images, labels, images, labels, "0" * 12)
    space = SearchSpace.below(teacher.architecture, (1.0,), "block")
    task = RankingTask(data, teacher, teacher_card(teacher, data, 50.0), space=space, noise=fixed_noise(64, 0))
    students = [Architecture(widths, OfaResNet((24, 32, 40, last), (8, 16))) for last in (48, 24)]
    scores = DisWOT(start).score(task, students)  # type: ignore[arg-type]
    assert np.isfinite(scores).all()
    if start == "remapped":  # the first is the teacher itself
        assert scores[0] > scores[1]
