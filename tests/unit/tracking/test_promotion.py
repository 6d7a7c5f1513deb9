from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from dass.errors import UsageError
from dass.tracking.promotion import is_better, make_champion, promote, rollback
from dass.tracking.store import Store

NAME = "dass-student-pets"


def _better_by(gained: int, lost: int, both: int = 20) -> tuple[np.ndarray, np.ndarray]:
    candidate = np.array([True] * gained + [False] * lost + [True] * both)
    champion = np.array([False] * gained + [True] * lost + [True] * both)
    return candidate, champion


@pytest.mark.parametrize(
    ("gained", "lost", "wins"),
    [(5, 0, True), (4, 0, False), (9, 2, True), (8, 2, False), (0, 0, False), (0, 9, False), (60, 50, False)],
)
def test_the_rule_on_hand_computed_cases(gained: int, lost: int, wins: bool) -> None:
    better, reason = is_better(*_better_by(gained, lost))
    assert better is wins
    assert f"right on {gained} that it gets wrong, wrong on {lost}" in reason


@given(gained=st.integers(0, 40), lost=st.integers(0, 40))
def test_the_rule_is_the_exact_one_sided_test_and_never_crowns_both(gained: int, lost: int) -> None:
    candidate, champion = _better_by(gained, lost)
    wins = is_better(candidate, champion)[0]
    expected = gained + lost > 0 and binom.sf(gained - 1, gained + lost, 0.5) <= 0.05
    assert wins == expected
    assert not (wins and is_better(champion, candidate)[0])


def test_first_then_challenger_then_a_clear_winner(store: Store, register: Callable) -> None:
    first = promote(store, register(0, target="pets"))  # right on 30 of 100
    assert (first.alias, first.champion, first.reason) == ("champion", 1, "the first version")
    second = promote(store, register(1))  # 34: better by chance
    assert (second.alias, second.champion) == ("challenger", 1)
    assert "34.00 % against the champion's 30.00 % on the same 100 test images" in second.reason
    assert "above 0.05" in second.reason
    assert _aliases(store) == {"champion": "1", "challenger": "2"}
    tags = store.client.get_model_version(NAME, "2").tags
    assert tags["promotion.verdict"] == "challenger"
    assert tags["promotion.reason"] == second.reason
    assert tags["promotion.by"]
    assert tags["promotion.at"].startswith("20")


def test_judging_the_champion_again_changes_nothing(store: Store, register: Callable) -> None:
    version = register(0)
    before = promote(store, version)
    tags = store.client.get_model_version(NAME, "1").tags
    assert promote(store, version) == before
    assert store.client.get_model_version(NAME, "1").tags == tags


def test_other_test_images_are_not_compared(store: Store, register: Callable) -> None:
    promote(store, register(0))
    verdict = promote(store, register(2, data_id="f" * 12))
    assert verdict.alias == "challenger"
    assert "not comparable" in verdict.reason


def test_a_winner_is_crowned_and_rolled_back_for_good(
    store: Store, register: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dass.tracking.promotion.SIGNIFICANCE", 0.3)  # 36 against 30 right is enough
    promote(store, register(0))
    assert promote(store, register(1)).alias == "challenger"
    winner = register(2)
    verdict = promote(store, winner)
    assert (verdict.alias, verdict.champion) == ("champion", 3)
    assert _aliases(store)["champion"] == "3"
    undone = rollback(store, NAME, "answers cat for everything")
    assert (undone.version, undone.champion) == (1, 1)
    assert _aliases(store)["champion"] == "1"
    assert store.client.get_model_version(NAME, "3").tags["rollback.reason"] == "answers cat for everything"
    again = promote(store, winner)
    assert (again.alias, again.champion) == ("challenger", 1)
    assert "rolled back: answers cat for everything" in again.reason
    with pytest.raises(UsageError, match="first champion"):
        rollback(store, NAME, "once more")


def test_of_two_judged_at_once_on_two_machines_the_better_is_champion(
    store: Store, register: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "alone", lambda *_: nullcontext())  # which knows the processes of one machine only
    monkeypatch.setattr("dass.tracking.promotion.SIGNIFICANCE", 0.3)
    promote(store, register(0))
    worse, better = register(1), register(2)  # 34 and 36 of 100
    others = [better]

    def meanwhile(*rights: np.ndarray) -> tuple[bool, str]:
        if others:
            make_champion(store, others.pop(), "judged meanwhile")
        return is_better(*rights)

    monkeypatch.setattr("dass.tracking.promotion.is_better", meanwhile)
    verdict = promote(store, worse)
    assert (verdict.alias, verdict.champion) == ("challenger", 3)
    assert _aliases(store) == {"champion": "3", "challenger": "2"}


def test_a_person_can_decide(store: Store, register: Callable) -> None:
    promote(store, register(0))
    version = register(1)
    assert promote(store, version).alias == "challenger"
    assert make_champion(store, version, "smaller").champion == 2
    assert _aliases(store) == {"champion": "2"}
    assert make_champion(store, version, "again").reason == "it is champion already"
    assert rollback(store, NAME, "a mistake").champion == 1


def test_nothing_to_roll_back(store: Store) -> None:
    with pytest.raises(UsageError, match="no champion"):
        rollback(store, NAME, "why not")


def _aliases(store: Store) -> dict[str, str]:
    return {alias: str(version) for alias, version in store.client.get_registered_model(NAME).aliases.items()}
