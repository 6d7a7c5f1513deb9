"""`dvc repro` as a step of a flow: counted, watched, and stopped with all that it started."""

import fcntl
import json
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from prefect import State, Task, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun

from dass.errors import DassError, UsageError
from dass.presets import lay_preset
from flows.infrastructure.processes import STOP_SECONDS, end_family
from flows.infrastructure.runtime import Progress, logger
from flows.infrastructure.stage import RUN_TAG

STAGE = re.compile(r"(?:Running s|S)tage '([^']+)'")  # dvc's word on each stage: it runs, is cached or is unchanged
BUSY = re.compile("Unable to acquire lock|it is being blocked by")


class DvcBusyError(DassError):
    """Another `dvc` command is at work in the project; it ends some day."""


def _is_busy(_: Task[Any, Any], __: TaskRun, state: State) -> bool:
    return isinstance(state.result(raise_on_failure=False), DvcBusyError)


WAIT: dict[str, Any] = {"retries": 30, "retry_delay_seconds": 60, "retry_condition_fn": _is_busy}


@task(cache_policy=NO_CACHE, name="lay the preset", **WAIT)
def lay(root: Path, preset: str, overwrite: bool) -> None:
    """Lay a preset over params.yaml, which the stages of a `dvc repro` at work go on reading.

    Raises:
        DvcBusyError: there is one: tried again every minute for half an hour.
        UsageError: params.yaml has edits that no preset holds.
    """
    if command := at_work(root):
        raise DvcBusyError(f"another dvc command is at work in this project: {command}")
    lay_preset(preset, force=overwrite)


def at_work(root: Path) -> str | None:
    """The `dvc` command that is at work: it holds DVC's lock, or, while a stage runs, files on DVC's list of locks."""
    with suppress(OSError), (root / ".dvc" / "tmp" / "lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return "it holds .dvc/tmp/lock"
    try:
        path = root / ".dvc" / "tmp" / "rwlock"
        locks, written = json.loads(path.read_text(encoding="utf-8")), path.stat().st_mtime
        holders = [*locks.get("write", {}).values(), *(one for many in locks.get("read", {}).values() for one in many)]
        return next((str(one["cmd"]) for one in holders if _lives(int(one["pid"]), written)), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no list yet, or one half-written
        return None


def _lives(pid: int, written: float) -> bool:
    """Whether a process that was there when DVC wrote its list still is, and not a later one that got its number."""
    with suppress(psutil.Error):
        return psutil.Process(pid).create_time() <= written + 1
    return False


@task(cache_policy=NO_CACHE, name="dvc repro", **WAIT)
def repro(root: Path, targets: Sequence[str] = ()) -> list[str]:
    """Run what has changed, and say how far it is.

    Args:
        root: folder of the project, which holds dvc.yaml.
        targets: stages to stop at, such as register@digits; none for all.

    Returns:
        The stages that dvc looked at, in order.

    Raises:
        DvcBusyError: another command holds DVC's lock: tried again every minute for half an hour.
        DassError: a stage failed; the message is its last words.
    """
    environment = _environment()
    everything = len(stage_names(root))
    progress = Progress("stages", 0, everything)
    seen: list[str] = []
    last_words: deque[str] = deque(maxlen=20)
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", *targets], cwd=root, env=environment, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,  # a cancelled run ends with its process group: dvc shall end in order, see _stop
    )  # fmt: skip
    assert process.stdout is not None
    try:
        for line in map(str.rstrip, process.stdout):
            print(line, flush=True)
            if line:
                last_words.append(line)
            if match := STAGE.match(line):
                seen.append(match[1])
                logger().info(line)
                progress(len(seen) - 1, everything)  # this one has only begun
        code = process.wait()
    except BaseException:
        _stop(process)
        raise
    if code:
        raise _failure(seen, last_words)
    progress(everything, everything)
    return seen


def stage_names(root: Path) -> list[str]:
    """Every stage of dvc.yaml under the present params.yaml."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--names-only"],
        cwd=root,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UsageError(f"dvc.yaml or params.yaml does not hold: {' '.join(done.stderr.split())}")
    return done.stdout.split()


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends the stage that runs; dvc sees it fail, clears its lock file and ends too, or is made to."""
    with suppress(psutil.NoSuchProcess):
        for stage in psutil.Process(process.pid).children():
            end_family(stage.pid)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        end_family(process.pid)
        process.wait()


def _failure(seen: list[str], last_words: Sequence[str]) -> DassError:
    lines = [line for line in last_words if line.startswith(("error: ", "ERROR: "))] or list(last_words)[-1:]
    if any(BUSY.search(line) for line in last_words):
        return DvcBusyError(f"another dvc command is at work in this project: {lines[-1]}")
    stage = seen[-1] if seen else "dvc"
    return DassError(f"{stage} failed: {lines[0].removeprefix('error: ').removeprefix('ERROR: ')}")


def _environment() -> dict[str, str]:
    """What stages run in: this environment, without what tells Prefect that this process is a flow run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    return environment | {
        "PATH": path,
        "DVC_NO_ANALYTICS": "1",
        "PYTHONUNBUFFERED": "1",
        RUN_TAG: runtime.flow_run.name or "",
    }
