"""MetaD2A and TANS: the set encoders' symmetries, the contrastive term by hand, and that both learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dass.baselines.methods.metad2a import AttentionBlock, MetaD2A, MetaD2ANetwork, SetPool
from dass.baselines.methods.probes import random_network
from dass.baselines.methods.set_conditioned import SetConditionedRanker
from dass.baselines.methods.tans import TANS, TANSNetwork, contrast
from dass.errors import UsageError
from dass.evaluation.correlation import spearman
from dass.networks.remapping import remap
from dass.tasks.ranking import RankingTask
from tests.samples import predictor_settings

NETWORKS = [MetaD2ANetwork, TANSNetwork]
RANKERS = [(MetaD2A, 1e-3), (TANS, 1e-2)]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_order_of_images_and_classes_does_not_matter(kind: type[MetaD2ANetwork] | type[TANSNetwork]) -> None:
    network, images = kind(7, 5), torch.randn(2, 4, 6, 7)  # tasks, classes, samples, features
    with torch.no_grad():
        encodings = network.encode(images)
        assert encodings.shape[0] == 2
        torch.testing.assert_close(network.encode(images.flip(1)), encodings)
        torch.testing.assert_close(network.encode(images.flip(2)), encodings)
        torch.testing.assert_close(network.encode(images[1]), encodings[1])
        assert not torch.allclose(encodings[0], encodings[1], atol=1e-4)
        predictions = network(encodings, torch.randn(2, 3, 5))
    assert predictions.shape == (2, 3)


def test_attention_with_one_key_adds_its_value() -> None:
    block = AttentionBlock(3, 2)
    queries, key = torch.randn(4, 3), torch.randn(1, 2)
    with torch.no_grad():
        hidden = block.query(queries) + block.value(key)
        torch.testing.assert_close(block(queries, key), hidden + F.relu(block.output(hidden)))


def test_attention_by_hand() -> None:
    block, elements = AttentionBlock(3, 3), torch.randn(5, 3)
    with torch.no_grad():
        query, key, value = block.query(elements), block.key(elements), block.value(elements)
        heads = []
        for head in range(4):
            part = slice(14 * head, 14 * (head + 1))
            weights = torch.softmax(query[:, part] @ key[:, part].T / 14**0.5, 1)
            heads.append(weights @ value[:, part])
        hidden = query + torch.cat(heads, 1)
        torch.testing.assert_close(block(elements, elements), hidden + F.relu(block.output(hidden)))


def test_a_set_pools_to_one_vector() -> None:
    assert SetPool(7)(torch.randn(2, 3, 9, 7)).shape == (2, 3, 56)


def test_metad2a_reads_the_dataset_nonlinearly() -> None:
    network = MetaD2ANetwork(7, 5)
    students = torch.randn(1, 30, 5).expand(2, -1, -1)
    with torch.no_grad():
        network.head[0].weight.mul_(5)  # far into the tanh
        first, second = network(network.encode(10 * torch.randn(2, 4, 6, 7)), students)
    assert (first - second).std() > 1e-3


def test_tans_orders_students_alike_on_every_task() -> None:
    network = TANSNetwork(7, 5)
    students = torch.randn(1, 30, 5).expand(2, -1, -1)
    with torch.no_grad():
        first, second = network(network.encode(torch.randn(2, 4, 6, 7)), students)
    assert (first - second).std() < 1e-6
    assert (first - second).abs().max() > 1e-3


def test_contrast_by_hand() -> None:
    queries = F.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    students = F.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(1)))
    similar = (queries @ students.T).tolist()
    expected = 0.0
    for i in range(3):
        others = [j for j in range(3) if j != i]
        expected += max(0, 0.2 + max(similar[i][j] for j in others) - similar[i][i]) / 3
        expected += max(0, 0.2 + max(similar[j][i] for j in others) - similar[i][i]) / 3
    assert expected > 0
    assert float(contrast(queries, students)) == pytest.approx(expected, rel=1e-5)
    assert float(contrast(torch.eye(3), torch.eye(3))) == 0
    assert float(contrast(queries[:1], students[:1])) == 0


def test_tans_sees_a_student_without_the_teacher(target: RankingTask) -> None:
    some = target.architectures[:3]
    described = TANS(predictor_settings(), seed=4).describe(target, some)
    untrained = random_network(target.space.largest, 1, 4, torch.device("cpu")).eval()
    with torch.no_grad():
        features = torch.cat([remap(untrained, a).features(target.noise).mean((-2, -1)) for a in some])
    codes = torch.from_numpy(target.space.encode(some))
    expected = torch.cat([codes / codes.norm(dim=1, keepdim=True), features / features.norm(dim=1, keepdim=True)], 1)
    torch.testing.assert_close(described, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "rate"), RANKERS)
def test_learns_what_ranks_an_unseen_target(
    kind: type[MetaD2A] | type[TANS], rate: float, sources: list[RankingTask], target: RankingTask
) -> None:
    settings = predictor_settings(episodes=80, query=16)
    ranker = kind(settings, learning_rate=rate, samples=4, precision="float32", device="cpu")
    ranker.fit(sources[:3], sources[3:])
    assert spearman(ranker.score(target, target.architectures), target.accuracies) > 0.7
    assert [look.episode for look in ranker.history_] == [20, 40, 60, 80]
    assert ranker.history_[-1].loss < ranker.history_[0].loss
    assert ranker.best_.src == max(look.src for look in ranker.history_)


def test_the_weights_kept_are_those_of_the_best_look(sources: list[RankingTask], target: RankingTask) -> None:
    def fitted(episodes: int) -> SetConditionedRanker:
        settings = predictor_settings(episodes=episodes, query=16, validate_every=1)
        ranker = TANS(settings, learning_rate=0.2, samples=2, precision="float32", device="cpu")
        return ranker.fit(sources[:3], sources[3:])

    long = fitted(12)
    best = long.best_.episode
    assert best < 12
    some = target.architectures[:5]
    np.testing.assert_array_equal(long.score(target, some), fitted(best).score(target, some))


@pytest.mark.parametrize("kind", [MetaD2A, TANS])
def test_nothing_of_the_targets_teacher_is_known_unless_asked_for(
    kind: type[MetaD2A] | type[TANS], sources: list[RankingTask], target: RankingTask
) -> None:
    other = replace(target, teacher=sources[2].teacher, card=replace(target.card, accuracy=1.0))
    some = target.architectures[:5]
    for extractor, same in (("source", True), ("teacher", False)):
        settings = predictor_settings(episodes=3, query=8)
        ranker = kind(settings, samples=2, extractor=extractor, precision="float32", device="cpu")  # type: ignore[arg-type]
        ranker.fit(sources[:2], sources[3:])
        assert np.array_equal(ranker.score(target, some), ranker.score(other, some)) == same


def test_tasks_with_different_numbers_of_classes(sources: list[RankingTask], target: RankingTask) -> None:
    data = sources[0].data
    kept = data.train_labels < 2
    fewer = replace(data, train_images=data.train_images[kept], train_labels=data.train_labels[kept])
    training = [replace(sources[0], data=fewer), *sources[1:3]]
    ranker = MetaD2A(predictor_settings(episodes=2, query=4), samples=2, device="cpu").fit(training, sources[3:])
    assert np.isfinite(ranker.score(target, target.architectures[:2])).all()


def test_too_little_to_learn_from_is_refused(sources: list[RankingTask]) -> None:
    lonely = replace(sources[0], architectures=sources[0].architectures[:1], accuracies=(1.0,))
    with pytest.raises(UsageError, match="split0 has 1 known students"):
        MetaD2A(predictor_settings()).fit([lonely], sources[3:])
    with pytest.raises(UsageError, match="validation task"):
        MetaD2A(predictor_settings()).fit(sources[:1], [])
