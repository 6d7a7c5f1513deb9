"""How a flow is run as a DVC stage."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect import tags

from dass.errors import DassError, UsageError

RUN_TAG = "DASS_STARTED_BY"


def run_stage(flow: Callable[..., object], *arguments: str) -> None:
    """Runs a flow as a stage's command: with a failure the user can mend it ends in one line, not a traceback."""
    hide_tracebacks()
    started_by = os.environ.get(RUN_TAG)  # the deployment's run, by which the page finds those of its stages
    with exit_with_line(), tags(*([started_by] if started_by else [])):
        flow(*arguments)


def hide_tracebacks() -> None:
    """Makes Prefect log a `DassError` without its traceback: the line says all."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_without_traceback)


@contextmanager
def exit_with_line() -> Iterator[None]:
    """Turns a `DassError` into its line on stderr and an exit code: 2 for wrong use, else 1."""
    try:
        yield
    except DassError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Keeps Prefect's own line for our errors but not the traceback that hides it."""
    if record.exc_info and isinstance(record.exc_info[1], DassError):
        record.exc_info = None
    return True
