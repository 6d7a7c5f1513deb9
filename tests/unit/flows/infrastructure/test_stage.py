"""How a stage's command ends."""

import logging
import signal
import sys
from collections.abc import Iterator

import pytest
from prefect import flow
from prefect.settings import get_current_settings

from dass.errors import DassError, UsageError
from flows.infrastructure.exits import exit_with_line
from flows.infrastructure.stage import _without_traceback, run_stage


@pytest.mark.parametrize(("error", "code"), [(DassError("no room\non the disk"), 1), (UsageError("no target"), 2)])
def test_our_errors_end_in_one_line_and_a_code(error: DassError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exit_with_line():
        raise error
    assert ended.value.code == code
    assert capsys.readouterr() == ("", f"error: {' '.join(str(error).split())}\n")


def test_an_interrupt_and_a_defect_pass() -> None:
    with pytest.raises(SystemExit) as ended, exit_with_line():
        raise KeyboardInterrupt
    assert ended.value.code == 130
    with pytest.raises(ZeroDivisionError), exit_with_line():
        _ = 1 / 0
    with exit_with_line():
        pass


@pytest.mark.parametrize(("error", "kept"), [(UsageError("no target"), False), (ValueError("a defect"), True)])
def test_tracebacks_are_for_defects(error: Exception, kept: bool) -> None:
    try:
        raise error
    except Exception:
        record = logging.LogRecord("prefect.flow_runs", logging.ERROR, "", 0, "it failed", None, sys.exc_info())
    assert _without_traceback(record)
    assert (record.exc_info is not None) == kept


@pytest.fixture
def _own_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_own_signals")
def test_no_heartbeats_are_sent_which_its_end_would_wait_for() -> None:
    seen = []
    run_stage(lambda name: seen.append((name, get_current_settings().flows.heartbeat_frequency)), "digits")
    assert seen == [("digits", None)]


@pytest.mark.parametrize("arguments", [(), ("1", "more"), ("many",)])
def test_arguments_that_a_stage_does_not_take_are_told(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    @flow
    def count(number: int) -> None:
        """Takes one number."""

    with pytest.raises(SystemExit) as ended:
        run_stage(count, *arguments)
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "number" in line
