"""Fidelities by their keys, of today and of earlier versions; and params.yaml of earlier versions."""

import pytest

from dass.errors import UsageError
from dass.fidelity import FIDELITIES, NOISE, ONE_BATCH, SIZE, Fidelity
from dass.old_params import with_todays_names


def test_keys_are_read_back_and_are_identifiers() -> None:
    for fidelity in (*FIDELITIES, Fidelity("steps", 160)):
        assert Fidelity.parse(fidelity.key) == fidelity
        assert fidelity.key.isidentifier()
    assert [fidelity.level for fidelity in FIDELITIES] == list(range(len(FIDELITIES)))


def test_keys_of_earlier_versions_are_read() -> None:
    old = {"free": SIZE, "noise": NOISE, "start": ONE_BATCH, "sprint 20": Fidelity("steps", 20)}
    assert {key: Fidelity.parse(key) for key in old} == old
    assert Fidelity.parse("40 steps") == Fidelity("steps", 40)  # of a race


@pytest.mark.parametrize("key", ["", "steps", "steps0", "sprint", "rung", "steps-5", "0 steps", "steps5 "])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(UsageError, match="no fidelity"):
        Fidelity.parse(key)


def test_steps_are_of_trainings_alone() -> None:
    for kind, steps in (("steps", 0), ("noise", 5), ("guess", 0)):
        with pytest.raises(UsageError, match=f"{kind}.* {steps} steps"):
            Fidelity(kind, steps)


def test_params_of_earlier_versions_are_read() -> None:
    old = {
        "search": {"method": "ladder", "starts": 60, "sprints": 8, "steps": 10},
        "evaluation": {"methods": ["DaSS", "ladder: sprint 10", "few-shot 3"], "picks": ["remapped loss"], "seeds": 1},
    }
    assert with_todays_names(old) == {
        "search": {"method": "multi_fidelity", "one_batch": 60, "k_step": 8, "steps": 10},
        "evaluation": {
            "methods": ["dass", "multifidelity_steps10", "few_shot_3"], "picks": ["remapped_loss"], "seeds": 1,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    "values", [{}, {"search": None, "evaluation": []}, {"evaluation": {"methods": "all", "picks": [1]}}]
)
def test_other_shapes_stay_as_they_are(values: dict) -> None:
    assert with_todays_names(values) == values


def test_a_name_of_today_is_not_hidden_by_an_old_one() -> None:
    assert with_todays_names({"search": {"starts": 1, "one_batch": 2}}) == {"search": {"starts": 1, "one_batch": 2}}


def test_a_search_without_evolution_is_todays_and_another_is_left_to_be_refused() -> None:
    assert with_todays_names({"search": {"evolve": False, "top": 3}}) == {"search": {"top": 3}}
    assert with_todays_names({"search": {"evolve": True}}) == {"search": {"evolve": True}}
