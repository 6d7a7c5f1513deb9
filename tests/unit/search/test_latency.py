import numpy as np
import pytest
import torch

from dass.search.latency import LatencyTable, measure_latency, measure_parts
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace

SPACE = SearchSpace((4, 8, 8, 16), 3, (0.5, 1.0), "block")


def test_an_estimate_is_the_sum_of_its_parts() -> None:
    table = LatencyTable(
        {(0, 1, 2, 4): 1.0, (1, 1, 4, 8): 2.0, (2, 1, 8, 4): 4.0, (2, 0, 4, 8): 8.0, (3, 1, 8, 16): 16.0},
        {2: 0.25, 4: 0.125},
        0.5,
    )
    with pytest.raises(KeyError):
        table.estimate(Architecture(((4,), (8,), (4, 8), (16,))))
    table.blocks[0, 1, 4, 4] = 1.0
    assert table.estimate(Architecture(((4,), (8,), (4, 8), (16,)))) == 1 + 2 + 4 + 8 + 16 + 0.125 + 0.5


def test_every_part_of_the_candidates_is_measured_once() -> None:
    architectures = SPACE.sample(40, np.random.default_rng(0))
    table = measure_parts(architectures, 8, 3, torch.device("cpu"))
    assert len(table.blocks) <= 4 * (4 + 4)
    assert all(table.estimate(one) > 0 for one in architectures)
    assert measure_latency(architectures[0], 8, 3, torch.device("cpu")) > 0
