"""How a stage tells how far it is, and what its page links to."""

import time
from logging import Logger, LoggerAdapter
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect import State, Task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from dass.tracking.runs import run_page
from dass.tracking.store import Store, may_pass

REPORT_SECONDS = 5.0


def run_link(store: Store, run_id: str) -> str:
    """Markdown that leads from a Prefect page to an MLflow run."""
    page = run_page(store, run_id)
    return f"[MLflow run {run_id[:8]}]({page})" if page else f"MLflow run `{run_id}` (`make ui` shows it)"


def _may_pass(_: Task[..., Any], __: TaskRun, state: State) -> bool:
    return may_pass(state.result(raise_on_failure=False))


# Recording is tried again only where a tracking server was gone or busy; doing it twice changes nothing.
RECORDING: dict[str, Any] = {
    "cache_policy": NO_CACHE, "retries": 3, "retry_delay_seconds": [5.0, 30.0, 120.0], "retry_condition_fn": _may_pass,
}  # fmt: skip


class Progress:
    """Tells a run's log and Prefect's page how far a long work is and when it will end.

    Args:
        what: name of what is counted, such as "students of split3".
        done: number that were there before this run, 0 or more.
        total: number that there will be at the end, those of before included.
    """

    def __init__(self, what: str, done: int, total: int) -> None:
        self._what = what
        self._before = done
        self._total = total
        self._started = self._reported = time.monotonic()
        self._artifact = _start_artifact(what, done, total)
        self._say(done)

    def __call__(self, done: int, total: int) -> None:
        """Takes how many this run has done of those it has to do."""
        now, self._total = time.monotonic(), self._before + total  # which may turn out otherwise than was thought
        if now - self._reported >= REPORT_SECONDS or done == total:
            self._reported = now
            self._say(self._before + done, (now - self._started) / max(done, 1) * (total - done))

    def _say(self, done: int, seconds_left: float | None = None) -> None:
        left = f", about {duration(seconds_left)} left" if seconds_left and done < self._total else ""
        logger().info("%s: %d of %d%s", self._what, done, self._total, left)
        if self._artifact:
            try:
                update_progress_artifact(self._artifact, progress=100 * done / max(self._total, 1))
            except HTTPError:  # the server is gone: work in hand goes on, and asks no more
                self._artifact = None


def duration(seconds: float) -> str:
    """Seconds as people say them: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def logger() -> LoggerAdapter[Logger] | Logger:
    """The current run's log, which its page shows."""
    return get_run_logger()


def _start_artifact(what: str, done: int, total: int) -> UUID | None:
    key = "".join(sign if sign.isalnum() else "-" for sign in what.lower())
    try:
        artifact = create_progress_artifact(progress=100 * done / max(total, 1), key=key, description=what)
    except MissingContextError:
        return None
    return artifact if isinstance(artifact, UUID) else None
