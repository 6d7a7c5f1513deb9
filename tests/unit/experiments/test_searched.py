"""The pick of a search by the predictor that comes with DaSS."""

from dataclasses import replace

import pytest

from dass.search.budget import SearchBudget
from dass.shipped.fixture import read_fixture
from dass.shipped.library import DATA
from dass.space.cost import cost
from experiments.curves.searched import search_seconds, searched
from tests.unit.experiments.test_methods import CLOCK

FEW = SearchBudget(candidates=20, one_batch=6, k_step=2)


def test_a_search_picks_a_student_within_the_limit() -> None:
    target = read_fixture(DATA / "fixtures" / "digits")
    images = target.data.train_images[:64], target.data.train_labels[:64]
    data = replace(target.data, test_images=images[0], test_labels=images[1])  # the fixture has none
    found = searched(target.teacher, target.card, data, target.recipe, 0.4, seed=0, budget=FEW)
    macs, whole = (
        cost(one, target.data.resolution, len(target.data.classes)).macs for one in (found, target.card.architecture)
    )
    assert macs <= 0.4 * whole


def test_a_search_costs_its_candidates_and_the_steps_of_those_that_train() -> None:
    steps = 48 * 10 + 24 * 10
    expected = 3000 * CLOCK.embedding + 400 * CLOCK.one_batch + steps * (CLOCK.fixed + CLOCK.per_mac * 2e6)
    assert search_seconds(CLOCK, 2e6) == pytest.approx(expected)
