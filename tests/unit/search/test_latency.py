import numpy as np
import pytest
import torch

from dass.search.latency import LatencyTable, measure_latency, measure_parts
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace

SPACE = SearchSpace((4, 8, 8, 16), 3, (0.5, 1.0), "block")


def test_an_estimate_is_the_sum_of_its_parts() -> None:
    measured = measure_parts([Architecture(((4,), (8,), (4, 8), (16,)))], 8, 3, torch.device("cpu"))
    table = LatencyTable(8, {part: float(2**place) for place, part in enumerate(measured.blocks)}, {16: 0.5})
    assert len(table.blocks) == 6  # the stem and five blocks
    assert table.estimate(Architecture(((4,), (8,), (4, 8), (16,)))) == 1 + 2 + 4 + 8 + 16 + 32 + 0.5
    with pytest.raises(KeyError):
        table.estimate(Architecture(((2, 4), (8,), (4, 8), (16,))))


def test_equal_blocks_at_different_places_are_measured_once() -> None:
    same = Architecture(((4, 4, 4), (8,), (8,), (16,)))
    assert len(measure_parts([same], 8, 3, torch.device("cpu")).blocks) == 5  # the stem, one block a stage


def test_every_part_of_the_candidates_is_measured_once() -> None:
    architectures = SPACE.sample(40, np.random.default_rng(0))
    table = measure_parts(architectures, 8, 3, torch.device("cpu"))
    assert len(table.blocks) <= 4 * (4 + 4) + 2
    assert all(table.estimate(one) > 0 for one in architectures)
    assert measure_latency(architectures[0], 8, 3, torch.device("cpu")) > 0
