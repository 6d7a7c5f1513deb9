"""Limits of searches and targets in params.yaml."""

import copy

import pytest

from dass.params_file import parse_params
from tests.demo_params import DEMO, changed, refused


@pytest.mark.parametrize("value", [0, "140%", "0%", "-5%", "%", "5", [1], True, float("inf")])
def test_a_limit_is_millions_or_a_share(value: object) -> None:
    assert refused(changed(("search", "max_macs"), value)).startswith("params.yaml: search.max_macs: ")


@pytest.mark.parametrize("value", [0.5, 3, "40%", "12.5%", "100%", None])
def test_limits_that_hold(value: object) -> None:
    assert parse_params(changed(("search", "max_macs"), value), "params.yaml").search.max_macs == value


@pytest.mark.parametrize("value", ["140%", -5, "%", "5", True])
def test_a_lower_limit_is_zero_or_a_limit(value: object) -> None:
    assert refused(changed(("search", "min_macs"), value)).startswith("params.yaml: search.min_macs: ")


def test_a_targets_own_limits_replace_those_of_the_search_each_for_itself() -> None:
    values = changed(("search", "min_macs"), 0.5)
    values["search"]["max_macs"] = 1.3
    values["targets"] = {
        "low": {"dataset": "digits", "min_macs": 0, "max_macs": 0.4},
        "common": {"dataset": "digits"},
        "share": {"dataset": "digits", "max_macs": "40%"},
    }
    params = parse_params(values, "params.yaml")
    found = {
        name: tuple(target.limit(f"{end}_macs", params.search) for end in ("min", "max"))
        for name, target in params.targets.items()
    }
    assert found == {"low": (0, 0.4), "common": (0.5, 1.3), "share": (0.5, "40%")}


@pytest.mark.parametrize(
    ("search", "target"), [({"min_macs": 2}, {}), ({"min_macs": 0.5}, {"max_macs": 0.4}), ({}, {"min_params": "50%"})]
)
def test_limits_that_leave_nothing_are_refused(search: dict[str, object], target: dict[str, object]) -> None:
    values = copy.deepcopy(DEMO)
    values["search"] |= {"max_macs": 1, "max_params": "40%"} | search
    values["targets"] = {"digits": {"dataset": "digits"} | target}
    assert "targets.digits: min_" in refused(values)


@pytest.mark.parametrize("block", ["search", "digits"])
def test_further_limits_are_read_and_overridden(block: str) -> None:
    values = copy.deepcopy(DEMO)
    values["search"] |= {"max_latency": "5ms", "max_size": 2, "keep_accuracy": 1.0}
    values["targets"]["digits"] |= {"max_latency": 0.25, "latency_batch": 8}
    params = parse_params(values, "params.yaml")
    names = ("max_latency", "max_size", "latency_batch", "keep_accuracy")
    assert [params.targets["digits"].limit(name, params.search) for name in names] == [0.25, 2, 8, 1.0]
    part = values["search"] if block == "search" else values["targets"]["digits"]
    key = "search" if block == "search" else "targets.digits"
    for name, wrong in (
        ("max_latency", "5 weeks"),
        ("max_size", 0),
        ("max_size", [1]),
        ("keep_accuracy", 101),
        ("latency_batch", 0),
    ):
        before = part.get(name)
        part[name] = wrong
        assert refused(values).startswith(f"params.yaml: {key}.{name}: ")
        part[name] = before if before is not None else (1 if name == "latency_batch" else None)


def test_a_race_keeps_no_accuracy() -> None:
    for place in ("search", "digits"):
        values = copy.deepcopy(DEMO)
        values["search"]["method"] = "race"
        (values["search"] if place == "search" else values["targets"]["digits"])["keep_accuracy"] = 1
        assert "keep_accuracy" in refused(values)
