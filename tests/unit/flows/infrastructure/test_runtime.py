"""How a stage tells how far it is."""

from logging import getLogger
from uuid import uuid4

import pytest

from flows.infrastructure import runtime
from flows.infrastructure.runtime import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (120, "2 min"), (5400, "90 min"), (12_600, "3.5 h")]
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_progress_goes_by_the_total_that_is_told_last(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    monkeypatch.setattr(runtime, "create_progress_artifact", lambda **_: uuid4())
    monkeypatch.setattr(runtime, "update_progress_artifact", lambda _, progress: told.append(progress))
    monkeypatch.setattr(runtime, "logger", lambda: getLogger("test"))
    progress = Progress("steps", 0, 1)
    progress(320, 320)
    assert told == [0.0, 100.0]
