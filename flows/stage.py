"""How a flow is run as a DVC stage."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from httpx import HTTPError
from prefect import tags

from dass.errors import DassError, UsageError

RUN_TAG = "DASS_STARTED_BY"
KEPT = "what was finished is kept, the same command goes on from there"


def run_stage(flow: Callable[..., object], *arguments: str) -> None:
    """Runs a flow as a stage's command: with a failure the user can mend it ends in one line, not a traceback.

    Told to stop (SIGTERM), it ends its workers, tells the server and exits with 143. Where the server goes away, the
    task in hand is finished first.
    """
    hide_tracebacks()
    signal.signal(signal.SIGTERM, _stop)  # Prefect's own handler ends the run first, then calls this one
    started_by = os.environ.get(RUN_TAG)  # the deployment's run, by which the page finds those of its stages
    with exit_with_line(), tags(*([started_by] if started_by else [])):
        try:
            flow(*arguments)
        except HTTPError as error:
            print(f"error: the Prefect server is gone or ill ({type(error).__name__}): {KEPT}", file=sys.stderr)
            sys.stderr.flush()
            os._exit(1)  # in order, Prefect would first look for its server for minutes


def hide_tracebacks() -> None:
    """Makes Prefect log a `DassError`, and its own server's absence, without a traceback: the line says all."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_without_traceback)


@contextmanager
def exit_with_line() -> Iterator[None]:
    """Turns a `DassError` into its line on stderr and an exit code: 2 for wrong use, else 1.

    So too a stop: 143 after SIGTERM, 130 after Ctrl-C.
    """
    try:
        yield
    except DassError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except (KeyboardInterrupt, StoppedError) as error:
        print(f"stopped: {KEPT}", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(error, StoppedError) else signal.SIGINT))


class StoppedError(BaseException):
    """This process was told to stop; no handler of failures shall catch it."""


def _stop(_: int, __: FrameType | None) -> None:
    raise StoppedError


def _without_traceback(record: logging.LogRecord) -> bool:
    """Keeps Prefect's own line for our errors but not the traceback that hides it."""
    if record.exc_info and isinstance(record.exc_info[1], DassError | HTTPError):
        record.exc_info = None
    return True
