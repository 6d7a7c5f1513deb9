"""Replayed methods on a made-up table, where what each delivers and pays can be said beforehand."""

from functools import partial

import numpy as np
import pytest

from dass.errors import DassError
from dass.space.architecture import Architecture
from experiments.curves.methods import by_loss, race, random_k, ranked, short_runs, usual_methods
from experiments.curves.setting import READINGS
from experiments.curves.table import Clock, Table
from tests.factories import make_card

CLOCK = Clock(fixed=0.5, per_mac=1e-6, teacher_step=0.01, look=1e-6, embedding=0.001, one_batch=0.01)
STEPS = np.array([*READINGS, 1280])
ONE = Architecture(((4,), (4,), (4,), (4,)))
CARD = make_card(classes=("cat", "dog"), architecture=ONE, recipe_id="")


@pytest.fixture
def table() -> Table:
    """Sixteen students, each better than the one before; after few steps they look the other way round."""
    count = 16
    quality = np.arange(count, dtype=float)
    late = STEPS >= 160
    losses = np.where(late[None], 3 - 0.1 * quality[:, None], 2 + 0.1 * quality[:, None])
    return Table(
        CARD, (ONE,) * count, np.full(count, 1e6), STEPS, losses, 100 - 10 * losses, losses, 50 + quality,
        60 + quality, 61 + quality,
    )  # fmt: skip


def test_the_best_of_all_is_found_where_all_are_distilled(table: Table) -> None:
    everyone = np.arange(16)
    found = random_k(table, CLOCK, everyone, np.random.default_rng(0), count=16)
    assert found.student == 15
    assert found.seconds == pytest.approx(0.01 * 1280 + 16 * 1.5 * 1280 + 16)


def test_more_random_students_deliver_better_ones_and_cost_as_much_more(table: Table) -> None:
    everyone = np.arange(16)
    means, seconds = [], []
    for count in (1, 2, 8):
        seen = [random_k(table, CLOCK, everyone, np.random.default_rng(draw), count=count) for draw in range(200)]
        means.append(np.mean([table.test[one.student] for one in seen]))
        seconds.append(seen[0].seconds)
    assert means[0] == pytest.approx(67.5, abs=0.7)  # the mean of all
    assert means[1] == pytest.approx(60 + 17 * 2 / 3 - 1, abs=0.7)  # the expected maximum of two of sixteen
    assert means[2] > 73
    assert seconds[2] / seconds[0] == pytest.approx(8, rel=0.02)


def test_a_short_run_is_as_good_as_what_it_sees(table: Table) -> None:
    everyone = np.arange(16)
    rng = np.random.default_rng(0)
    assert short_runs(table, CLOCK, everyone, rng, count=16, steps=20).student == 0
    found = short_runs(table, CLOCK, everyone, rng, count=16, steps=160)
    assert found.student == 15
    assert found.seconds == pytest.approx(0.01 * 1280 + 15 * 1.5 * 160 + 1.5 * 1280 + 16 + 1)
    assert short_runs(table, CLOCK, everyone, rng, count=16, steps=20, finished=16).student == 15


def test_a_race_pays_for_each_step_once(table: Table) -> None:
    everyone = np.arange(16)
    found = race(table, CLOCK, everyone, np.random.default_rng(0), count=16)
    steps = 16 * 10 + 8 * 10 + 4 * 20 + 2 * 40 + 1 * 80  # rounds end after 10, 20, 40, 80 and 160 steps
    looks = 16 + 8 + 4 + 2 + 1 + 1
    assert found.seconds == pytest.approx(0.01 * 1280 + 1.5 * (steps + 1280 - 160) + looks)
    assert found.student == 0  # the worst looks best after 10 to 80 steps


def test_a_score_that_knows_better_turns_a_race_around(table: Table) -> None:
    def knows(table: Table, students: np.ndarray, reading: int) -> np.ndarray:
        return table.test[students]

    found = race(table, CLOCK, np.arange(16), np.random.default_rng(0), count=16, score=knows)
    assert found.student == 15


def test_a_ranking_pays_for_each_candidate_and_the_first_few(table: Table) -> None:
    scores = -table.test
    found = ranked(
        table, CLOCK, np.arange(16), np.random.default_rng(0), scores=scores, count=16, seconds_each=1.0, finished=3
    )
    assert found.student == 2  # of the three worst, the best on held-out images
    assert found.seconds == pytest.approx(16 + 0.01 * 1280 + 3 * 1.5 * 1280 + 3)


def test_every_usual_method_delivers_one_of_the_candidates(table: Table) -> None:
    candidates = np.array([1, 4, 6, 7, 11, 13])
    for sizes in usual_methods(16, by_loss).values():
        for _, method in sizes:
            for draw in range(5):
                found = method(table, CLOCK, candidates, np.random.default_rng(draw))
                assert found.student in candidates
                assert found.seconds >= 1.5 * 1280


def test_the_same_draw_delivers_the_same(table: Table) -> None:
    method = partial(race, count=8)
    first, second = (method(table, CLOCK, np.arange(16), np.random.default_rng(3)) for _ in range(2))
    assert first == second


def test_a_reading_that_was_not_taken_is_refused(table: Table) -> None:
    with pytest.raises(DassError, match="30 steps"):
        short_runs(table, CLOCK, np.arange(16), np.random.default_rng(0), count=4, steps=30)
