"""The scoring engine against the naive way: build each student, copy its weights, run it alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import Tensor

from dass.errors import UsageError
from dass.families.blocks import Block
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.folding import SlicedNetwork
from dass.networks.remapping import remap
from dass.predictor import embeddings
from dass.predictor.embeddings import embed, fixed_noise
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace

WIDTHS = (8, 16, 24, 72)
SPACES = {name: SearchSpace(WIDTHS, 3, (0.25, 0.5, 0.875, 1.0), name) for name in ("stage", "block")}


def make_teacher(space: SearchSpace, resolution: int = 32) -> ElasticResNet:
    """A teacher with running statistics and affine weights that are not those of a fresh one."""
    torch.manual_seed(1)
    teacher = ElasticResNet(space.largest, 4)
    for module in teacher.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1, 0.3)
            torch.nn.init.normal_(module.bias, 0, 0.3)
    with torch.no_grad():
        for _ in range(20):
            teacher(torch.randn(8, 3, resolution, resolution))
    return teacher.eval()


TEACHER = make_teacher(SPACES["stage"])


@torch.no_grad()
def naive(teacher: ElasticResNet, architectures: list[Architecture], noise: Tensor) -> Tensor:
    return torch.cat([remap(teacher, architecture).features(noise) for architecture in architectures])


def in_order(
    teacher: ElasticResNet, architectures: list[Architecture], noise: Tensor, **options: object
) -> tuple[Tensor, int]:
    """All embeddings in the order asked for, and the number of chunks they came in."""
    parts = list(embed(teacher, architectures, noise, **options))  # type: ignore[arg-type]
    order = torch.cat([part.indices for part in parts])
    assert sorted(order.tolist()) == list(range(len(architectures)))
    result = torch.empty_like(torch.cat([part.embeddings for part in parts]))
    result[order] = torch.cat([part.embeddings for part in parts])
    return result, len(parts)


def relative_error(ours: Tensor, expected: Tensor) -> float:
    return ((ours - expected).abs().amax(dim=(1, 2, 3)) / expected.abs().amax(dim=(1, 2, 3))).max().item()


@settings(max_examples=20)
@given(
    granularity=st.sampled_from(["stage", "block"]),
    seed=st.integers(0, 1000),
    n=st.integers(1, 20),
    resolution=st.sampled_from([8, 20, 32, 33]),
    chunk=st.sampled_from([1, 3, 100]),
)
def test_equals_the_naive_forward(granularity: str, seed: int, n: int, resolution: int, chunk: int) -> None:
    architectures = SPACES[granularity].sample(n, np.random.default_rng(seed))
    noise = fixed_noise(resolution, seed)
    ours, chunks = in_order(TEACHER, architectures, noise, chunk=chunk)
    assert chunks == -(-n // chunk)
    assert relative_error(ours, naive(TEACHER, architectures, noise)) < 1e-4


@pytest.mark.parametrize("granularity", ["stage", "block"])
def test_many_candidates_in_one_chunk(granularity: str) -> None:
    architectures = SPACES[granularity].sample(150, np.random.default_rng(0))
    noise = fixed_noise(16, 0)
    ours, chunks = in_order(TEACHER, architectures, noise)
    assert chunks == 1
    assert relative_error(ours, naive(TEACHER, architectures, noise)) < 1e-4


def test_the_teacher_repeats_and_any_order() -> None:
    few = SPACES["block"].sample(5, np.random.default_rng(0))
    architectures = [*few, TEACHER.architecture, *reversed(few)]
    noise = fixed_noise(16, 0)
    ours, _ = in_order(TEACHER, architectures, noise)
    assert torch.equal(ours[:5], ours[6:].flip(0))
    with torch.no_grad():
        assert relative_error(ours[5:6], TEACHER.features(noise)) < 1e-4


@pytest.mark.parametrize("granularity", ["stage", "block"])
def test_reduced_precision_keeps_the_ranking(granularity: str) -> None:
    architectures = SPACES[granularity].sample(200, np.random.default_rng(0))
    noise = fixed_noise(32, 0)
    exact, _ = in_order(TEACHER, architectures, noise)
    reduced, _ = in_order(TEACHER, architectures, noise, dtype=torch.bfloat16)
    assert reduced.dtype == torch.bfloat16
    projections = torch.randn(exact[0].numel(), 5, generator=torch.Generator().manual_seed(0))
    for scores, rounded in zip(
        (exact.flatten(1) @ projections).T, (reduced.float().flatten(1) @ projections).T, strict=True
    ):
        assert spearmanr(scores, rounded).statistic > 0.999


def test_the_noises_own_statistics_in_reduced_precision_keep_the_ranking() -> None:
    architectures = SPACES["block"].sample(200, np.random.default_rng(0))
    noise = fixed_noise(32, 0)
    exact, _ = in_order(TEACHER, architectures, noise, statistics="batch")
    reduced, _ = in_order(TEACHER, architectures, noise, statistics="batch", dtype=torch.bfloat16)
    assert reduced.dtype == torch.bfloat16
    projection = torch.randn(exact[0].numel(), generator=torch.Generator().manual_seed(0))
    scores, rounded = (each.float().flatten(1) @ projection for each in (exact, reduced))
    assert spearmanr(scores, rounded).statistic > 0.995


def test_one_pixel_has_no_statistics_of_its_own() -> None:
    assert list(embed(TEACHER, [TEACHER.architecture], fixed_noise(8, 0)))
    with pytest.raises(UsageError, match=r"predictor\.statistics.*data\.resolution"):
        list(embed(TEACHER, [TEACHER.architecture], fixed_noise(8, 0), statistics="batch"))


def test_large_inputs_make_chunks_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    architectures = SPACES["block"].sample(60, np.random.default_rng(0))
    noise = fixed_noise(16, 0)
    whole, _ = in_order(TEACHER, architectures, noise)
    monkeypatch.setattr(embeddings, "HELD_BYTES", 20 * 8 * 16 * 16 * 4)  # 20 students behind the first stage
    parts, chunks = in_order(TEACHER, architectures, noise)
    assert chunks > 1
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-4)


def test_common_beginnings_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    run = SlicedNetwork.run

    def count(self: SlicedNetwork, block: Block, features: Tensor, out: Tensor | None = None) -> Tensor:
        if out is not None:  # not the stem
            computed.append(len(out))
        return run(self, block, features, out)

    monkeypatch.setattr(SlicedNetwork, "run", count)
    architectures = SPACES["block"].sample(150, np.random.default_rng(0))
    in_order(TEACHER, architectures, fixed_noise(16, 0))
    beginnings = {
        (architecture.widths[:stage], architecture.widths[stage][: position + 1])
        for architecture in architectures
        for stage in range(4)
        for position in range(architecture.depths[stage])
    }
    assert sum(computed) == len(beginnings) < sum(sum(architecture.depths) for architecture in architectures)


def test_noise_is_fixed() -> None:
    assert torch.equal(fixed_noise(16, 3), fixed_noise(16, 3))
    assert not torch.equal(fixed_noise(16, 3), fixed_noise(16, 4))
    assert fixed_noise(16, 3).shape == (1, 3, 16, 16)
    assert fixed_noise(64, 0).std().item() == pytest.approx(1, abs=0.05)


def test_nothing_asked_nothing_given() -> None:
    assert list(embed(TEACHER, [], fixed_noise(16, 0))) == []


def test_larger_than_the_teacher_is_refused() -> None:
    with pytest.raises(UsageError, match="exceeds its teacher"):
        list(embed(TEACHER, [Architecture(((8,) * 4, (16,), (24,), (72,)))], fixed_noise(16, 0)))


def test_the_teacher_is_left_alone() -> None:
    before = {name: tensor.clone() for name, tensor in TEACHER.state_dict().items()}
    TEACHER.train()
    list(embed(TEACHER, [TEACHER.architecture], fixed_noise(16, 0)))
    assert TEACHER.training
    TEACHER.eval()
    assert all(torch.equal(tensor, before[name]) for name, tensor in TEACHER.state_dict().items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu() -> None:
    architectures = SPACES["block"].sample(60, np.random.default_rng(0))
    noise = fixed_noise(32, 0)
    expected = naive(TEACHER, architectures, noise)
    ours, _ = in_order(make_teacher(SPACES["stage"]).cuda(), architectures, noise)
    assert relative_error(ours.cpu(), expected) < 1e-3
    expected, _ = in_order(TEACHER, architectures, noise, statistics="batch")
    ours, _ = in_order(make_teacher(SPACES["stage"]).cuda(), architectures, noise, statistics="batch")
    assert relative_error(ours.cpu(), expected) < 1e-3
