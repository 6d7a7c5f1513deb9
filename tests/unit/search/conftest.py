"""Candidates with any prediction and cost."""

from collections.abc import Callable

import pytest

from dass.search.candidates import Candidate
from dass.space.architecture import Architecture
from dass.space.cost import Cost

Maker = Callable[[int, float, int, int], Candidate]


@pytest.fixture(scope="session")
def make() -> Maker:
    """Makes a candidate of a number (its place in the order of architectures), prediction, MACs and parameters."""

    def maker(number: int, predicted: float, macs: int, parameters: int = 1) -> Candidate:
        return Candidate(Architecture(((number + 1,), (1,), (1,), (1,))), predicted, Cost(parameters, macs, 0, 0))

    return maker
