"""How a flow is run as a DVC stage."""

import inspect
import io
import logging
import os
import sys
from collections.abc import Callable, Sequence

from httpx import HTTPError
from prefect import Flow, tags
from prefect.exceptions import ParameterTypeError
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from dass.errors import DassError, UsageError
from flows.infrastructure.exits import KEPT, exit_with_line, raise_when_terminated
from flows.infrastructure.processes import end_with_parent

RUN_TAG = "DASS_STARTED_BY"
RUN_ID = "PREFECT__FLOW_RUN_ID"  # set by a worker for the process of a run

# Nothing here listens to a stage's heartbeats, and a flow waits up to a second for the thread that sends them.
NO_HEARTBEATS = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}


def run_stage(flow: Callable[..., object], *arguments: str) -> None:
    """Runs a flow as a stage's command: with a failure the user can mend it ends in one line, not a traceback.

    Told to stop (SIGTERM), it ends its workers, tells the server and exits with 143. Where the server goes away, the
    task in hand is finished first.

    Args:
        flow: flow of the stage.
        arguments: words of the command line, which Prefect turns into the types of the flow's parameters.
    """
    hide_tracebacks()
    raise_when_terminated()  # Prefect's own handler ends the run first, then calls this one
    started_by = os.environ.get(RUN_TAG)  # the deployment's run, by which the page finds those of its stages
    with exit_with_line(), temporary_settings(NO_HEARTBEATS), tags(*([started_by] if started_by else [])):
        if isinstance(flow, Flow):
            _check(flow, arguments)
        try:
            flow(*arguments)
        except HTTPError as error:
            told, sys.stderr = (
                sys.stderr,
                io.StringIO(),
            )  # Prefect's thread of logs tells of it in many lines, now or soon
            print(f"error: the Prefect server is gone or ill ({type(error).__name__}): {KEPT}", file=told, flush=True)
            os._exit(1)  # in order, Prefect would first look for its server for minutes


def _check(flow: Flow[..., object], arguments: Sequence[str]) -> None:
    """Refuses arguments that a flow does not take, before it starts.

    Raises:
        UsageError: too many or too few, or text that is none of a parameter's type.
    """
    signature = inspect.signature(flow.fn)
    try:
        flow.validate_parameters(dict(signature.bind(*arguments).arguments))
    except (TypeError, ParameterTypeError) as error:
        names = ", ".join(signature.parameters) or "no arguments"
        told = ", ".join(map(repr, arguments)) or "none"
        raise UsageError(f"{flow.name} takes {names}, found {told:.200}") from error


def begin_run() -> None:
    """What a deployment's flow does first: it ends with its worker, and tells what the user can mend in one line."""
    if os.environ.get(RUN_ID):
        end_with_parent()
    hide_tracebacks()


def hide_tracebacks() -> None:
    """Makes Prefect log a `DassError`, and its own server's absence, without a traceback: the line says all."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Keeps Prefect's own line for our errors but not the traceback that hides it."""
    if record.exc_info and isinstance(record.exc_info[1], DassError | HTTPError):
        record.exc_info = None
    return True
