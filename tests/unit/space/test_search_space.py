"""The space: membership, one-hot code, sampling."""

from collections import Counter
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dass.config import Space
from dass.errors import UsageError
from dass.space.architecture import Architecture
from dass.space.cost import CostLimits, cost
from dass.space.search_space import ENUMERABLE, SearchSpace
from tests.samples import is_member

SIXTEENTHS = tuple(i / 16 for i in range(8, 17))
TABLES = SearchSpace((32, 64, 128, 256), 5, SIXTEENTHS, "stage")
APPENDIX = SearchSpace((32, 64, 128, 256), 5, tuple(i / 8 for i in range(1, 9)), "block")
TINY = SearchSpace((4, 4, 4, 4), 2, (0.5, 1.0), "block")

spaces = st.builds(
    SearchSpace,
    widths=st.tuples(*[st.sampled_from([8, 16, 24])] * 4),
    max_depth=st.integers(1, 4),
    ratios=st.sampled_from([(1.0,), (0.5, 1.0), (0.125, 0.25, 0.5, 0.75, 1.0)]),
    granularity=st.sampled_from(["stage", "block"]),
)


def test_the_tables_space() -> None:
    assert TABLES.code_length == 181
    assert TABLES.stage_options == (37,) * 4
    assert TABLES.stage_options[0] ** 2 == 1369
    assert (
        SearchSpace.from_config(Space(widths=(32, 64, 128, 256), max_depth=5, ratios=SIXTEENTHS, granularity="stage"))
        == TABLES
    )


@given(space=spaces)
def test_options_are_the_distinct_configurations(space: SearchSpace) -> None:
    for stage in range(4):
        options = [space.blocks(stage, option) for option in range(space.stage_options[stage])]
        assert len(set(options)) == space.stage_options[stage]
        assert all(len(blocks) <= space.max_depth and blocks[-1] == space.widths[stage] for blocks in options)
        assert space.largest.widths[stage] == options[-1]


@settings(max_examples=50)
@given(space=spaces, seed=st.integers(0, 2**32), n=st.integers(0, 30))
def test_samples_are_distinct_members_and_can_be_enlarged(space: SearchSpace, seed: int, n: int) -> None:
    n = min(n, space.size)
    sample = space.sample(n, np.random.default_rng(seed))
    assert len(set(sample)) == n
    assert all(is_member(space, architecture) for architecture in sample)
    more = space.sample(min(n + 3, space.size), np.random.default_rng(seed))
    assert more[:n] == sample


def test_large_spaces_can_be_enlarged_too() -> None:
    assert APPENDIX.size > ENUMERABLE
    few, many = (APPENDIX.sample(n, np.random.default_rng(3)) for n in (70, 5000))
    assert many[:70] == few
    assert len(set(many)) == 5000
    assert all(is_member(APPENDIX, architecture) for architecture in many)


@pytest.mark.parametrize("space", [TABLES, APPENDIX])
def test_depths_and_ratios_are_uniform(space: SearchSpace) -> None:
    sample = space.sample(4000, np.random.default_rng(0))
    depths = Counter(architecture.depths[2] for architecture in sample)
    assert all(abs(depths[depth] - 800) < 110 for depth in range(1, 6))
    deep = [architecture.widths[3][0] for architecture in sample if architecture.depths[3] > 1]
    expected = len(deep) / len(space.ratios)
    assert all(abs(count - expected) < 5 * expected**0.5 for count in Counter(deep).values())
    assert len(Counter(deep)) == len(space.ratios)


def test_the_whole_space_can_be_had_but_no_more() -> None:
    assert TINY.size == 81
    assert len(set(TINY.sample(81, np.random.default_rng(0)))) == 81
    with pytest.raises(UsageError, match="only 81"):
        TINY.sample(82, np.random.default_rng(0))


@pytest.mark.parametrize("space", [TABLES, APPENDIX])
def test_limits(space: SearchSpace) -> None:
    limit = cost(space.largest, 64, 10).macs / 3
    sample = space.sample(100, np.random.default_rng(0), CostLimits(64, 10, max_macs=limit, max_params=2e6))
    costs = [cost(architecture, 64, 10) for architecture in sample]
    assert all(entry.macs <= limit and entry.parameters <= 2e6 for entry in costs)
    with pytest.raises(UsageError, match="smallest member has"):
        space.sample(1, np.random.default_rng(0), CostLimits(64, 10, max_macs=1e6))


def test_code() -> None:
    architecture = TABLES.from_depth_width((1, 2, 5, 1), (32, 44, 72, 256))
    code = TABLES.encode([architecture, TABLES.largest])
    assert code.shape == (2, 181)
    assert code.dtype == np.float32
    slots = code[0, 1:].reshape(4, 5, 9)
    assert code[:, 0].tolist() == [1, 1]
    assert slots.sum(axis=2).tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1] * 5, [1, 0, 0, 0, 0]]
    assert slots[1, 0].argmax() == 3  # 44 of 64 is 11 sixteenths
    assert slots[1, 1].argmax() == 8
    assert (code[1, 1:].reshape(20, 9)[:, 8] == 1).all()


@settings(max_examples=30)
@given(space=spaces, seed=st.integers(0, 1000))
def test_codes_are_unique(space: SearchSpace, seed: int) -> None:
    sample = space.sample(min(20, space.size), np.random.default_rng(seed))
    assert len(np.unique(space.encode(sample), axis=0)) == len(sample)


def test_depth_one_has_no_ratio() -> None:
    full, narrow = (TABLES.from_depth_width((1, 1, 1, 1), widths) for widths in ((32, 64, 128, 256), (16, 32, 64, 128)))
    assert full == narrow


@pytest.mark.parametrize(
    ("depths", "widths", "message"),
    [
        ((6, 1, 1, 1), (32, 64, 128, 256), "depth 6 of stage 1"),
        ((0, 1, 1, 1), (32, 64, 128, 256), "depth 0 of stage 1"),
        ((2, 2, 2, 2), (32, 63, 128, 256), "width 63 of stage 2"),
        ((2, 2, 2), (32, 64, 128), "4 numbers each"),
    ],
)
def test_rows_outside_the_space(depths: tuple[int, ...], widths: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TABLES.from_depth_width(depths, widths)


@pytest.mark.parametrize(
    ("first_stage", "message"),
    [((16,), "full width 32"), ((16, 18, 32), "mixes widths"), ((17, 32), "width 17"), ((32,) * 6, "6 blocks")],
)
def test_architectures_outside_the_space(first_stage: tuple[int, ...], message: str) -> None:
    architecture = Architecture((first_stage, (64,), (128,), (256,)))
    with pytest.raises(UsageError, match=message):
        TABLES.check(architecture)
    assert not is_member(TABLES, architecture)


def test_a_width_per_block_is_a_matter_of_granularity() -> None:
    granularity: Literal["block"] = "block"
    blocks = SearchSpace(TABLES.widths, 5, SIXTEENTHS, granularity)
    blocks.check(Architecture(((16, 18, 32), (64,), (128,), (256,))))
