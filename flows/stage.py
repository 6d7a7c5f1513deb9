"""How a flow is run as a DVC stage."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dass.errors import DassError, UsageError


def run_stage(flow: Callable[..., object], *arguments: str) -> None:
    """Runs a flow as a stage's command: with a failure the user can mend it ends in one line, not a traceback."""
    logging.getLogger("prefect.flow_runs").addFilter(_without_traceback)
    logging.getLogger("prefect.task_runs").addFilter(_without_traceback)
    with exit_with_line():
        flow(*arguments)


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
