"""What a stage computes on."""

import os

import pytest
import torch

from dass.errors import UsageError
from flows.stages.compute import device, workers

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
