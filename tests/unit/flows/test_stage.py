"""How a stage's command ends."""

import logging
import sys

import pytest

from dass.errors import DassError, UsageError
from flows.exits import exit_with_line
from flows.stage import _without_traceback


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
