"""Architectures: identity, JSON, labels, refusals."""

import json

import pytest

from dass.errors import UsageError
from dass.space.architecture import Architecture

TABLE_7 = Architecture(((20, 32), (32, 32, 32, 64), (104, 128), (128, 256)))


def test_json_round_trip_as_value_and_text() -> None:
    assert Architecture.from_json(TABLE_7.to_json()) == TABLE_7
    assert Architecture.from_json(json.dumps(TABLE_7.to_json())) == TABLE_7


def test_identity_is_the_content() -> None:
    twin = Architecture(tuple(map(tuple, TABLE_7.to_json()["widths"])))
    assert hash(twin) == hash(TABLE_7)
    assert twin.arch_id == TABLE_7.arch_id == "2f95b1412e3b"  # stable across versions: it names files and rows


def test_labels() -> None:
    assert TABLE_7.stage_label == "2,4,2,2 / 20,32,104,128"
    assert TABLE_7.depths == (2, 4, 2, 2)
    assert Architecture(((32,), (8, 16, 64), (128,), (256,))).stage_label == "1,3,1,1 / 32,8-16,128,256"


@pytest.mark.parametrize(
    "value",
    [
        "{",
        "[]",
        {"widths": [[1], [1], [1]]},
        {"widths": [[1], [1], [1], []]},
        {"widths": [[1], [1], [1], [0]]},
        {"widths": [[1], [1], [1], [1.5]]},
        {"widths": [[1], [1], [1], [True]]},
        {"widths": [1, 1, 1, 1]},
        {"widths": {"a": 1}},
        {"widths": [[1], [1], [1], [1]], "depth": 3},
    ],
)
def test_malformed_values_are_refused(value: object) -> None:
    with pytest.raises(UsageError):
        Architecture.from_json(value)
