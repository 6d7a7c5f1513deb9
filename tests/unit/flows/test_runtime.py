"""What a stage runs on."""

import os
from logging import getLogger
from uuid import uuid4

import pytest
import torch

from dass.errors import UsageError
from flows.compute import device, workers
from flows.runtime import Progress, duration

CPU = torch.device("cpu")


def test_the_device_is_the_users_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASS_DEVICE", "cpu")
    assert device() == CPU
    monkeypatch.setenv("DASS_DEVICE", "tpu")
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        device()
    monkeypatch.delenv("DASS_DEVICE")
    assert device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_workers_by_default_one_per_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASS_WORKERS", raising=False)
    assert workers(CPU)._count == os.cpu_count()
    assert workers(torch.device("cuda"))._count == 1
    monkeypatch.setenv("DASS_WORKERS", "3")
    assert workers(CPU)._count == 3


@pytest.mark.parametrize("text", ["0", "257", "-1", "two", "", "1.5", "²"])
def test_another_number_of_workers_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DASS_WORKERS", text)
    with pytest.raises(UsageError, match=f"DASS_WORKERS='{text}'"):
        workers(CPU)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (120, "2 min"), (5400, "90 min"), (12_600, "3.5 h")]
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_progress_goes_by_the_total_that_is_told_last(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    monkeypatch.setattr("flows.runtime.create_progress_artifact", lambda **_: uuid4())
    monkeypatch.setattr("flows.runtime.update_progress_artifact", lambda _, progress: told.append(progress))
    monkeypatch.setattr("flows.runtime.logger", lambda: getLogger("test"))
    progress = Progress("steps", 0, 1)
    progress(320, 320)
    assert told == [0.0, 100.0]
