"""The values of preset `demo`, changed, and the one line with which wrong values are refused."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from dass.errors import UsageError
from dass.params_file import parse_params

DEMO: dict[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "presets" / "demo.yaml").read_text())
Key = tuple[str | int, ...]


def refused(values: object) -> str:
    """The one line with which values are refused."""
    with pytest.raises(UsageError) as caught:
        parse_params(values, "params.yaml")
    message = str(caught.value)
    assert message.startswith("params.yaml: ")
    assert "\n" not in message
    return message


def changed(key: Key, value: object) -> dict[str, Any]:
    """The demo preset with another value at a key."""
    values = copy.deepcopy(DEMO)
    block: Any = values
    for part in key[:-1]:
        block = block[part]
    block[key[-1]] = value
    return values
