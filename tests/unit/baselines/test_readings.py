"""Readings of the paper: what is left out, and what is chosen."""

import pytest

from dass.baselines.readings import PUBLISHED, READINGS, agreement, best_reading, folds
from dass.config import Predictor
from dass.errors import UsageError
from dass.tasks.ranking import RankingTask


def test_there_are_four_and_each_changes_the_settings() -> None:
    block = Predictor(episodes=4, query=8, inner_steps=1, inner_rate=0.005, learning_rate=5e-4, validate_every=2)
    made = [reading.of(block) for reading in READINGS]
    assert {(one.statistics, one.unit) for one in made} == {(s, u) for s in ("running", "batch") for u in (1.0, 50.0)}
    assert block in made  # today's defaults are one of them
    assert len({reading.name for reading in READINGS}) == 4


def test_a_left_out_group_neither_trains_nor_validates(sources: list[RankingTask]) -> None:
    groups = {0: sources[:1], 2: sources[1:2], 3: sources[2:]}
    made = folds(groups)
    assert [fold.left_out for fold in made] == [tuple(tasks) for tasks in groups.values()]
    for fold in made:
        used = [*fold.left_out, *fold.sources.training, *fold.sources.validation]
        assert sorted(task.name for task in used) == sorted(task.name for task in sources)
        assert fold.sources.training and fold.sources.validation
    with pytest.raises(UsageError, match="class groups"):
        folds({0: sources[:2], 1: sources[2:]})


def test_the_order_of_the_paper_is_chosen_and_then_the_higher_one() -> None:
    backwards = {name: -value for name, value in PUBLISHED.items()}
    halved = {name: value / 2 for name, value in PUBLISHED.items()}
    assert (agreement(PUBLISHED), agreement(halved), agreement(backwards)) == pytest.approx((1, 1, -1))
    assert agreement({name: value for name, value in halved.items() if name != "tans"}) == pytest.approx(1)
    first, second, third, _ = READINGS
    assert best_reading({first: backwards, second: halved, third: PUBLISHED}) == third
    assert best_reading({first: backwards, second: halved}) == second
