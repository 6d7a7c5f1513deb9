"""`make serve` when it is killed: nothing of it stays."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.e2e.sandbox import new_project
from tests.func.served import addresses, until

pytestmark = [pytest.mark.timeout(400), pytest.mark.service]


def at_work_in(root: Path) -> list[str]:
    """Commands of processes whose folder is the project."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("killed", ["flows.serve", "flows.infrastructure.worker", "flows.infrastructure.prefect_pages"])
def test_after_a_kill_nothing_stays(tmp_path: Path, killed: str) -> None:
    sandbox = new_project(tmp_path / "project", DASS_IDLE_SECONDS="3")
    log = tmp_path / "log"
    with log.open("wb") as output:
        serve = subprocess.Popen(
            [sys.executable, "-m", "flows.serve"], cwd=sandbox.root, env=sandbox.environment, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    until(lambda: serve.poll() is not None or addresses(log) is not None, 200, f"a server, see {log}")
    processes = at_work_in(sandbox.root)
    assert len(processes) == 4, processes  # itself, two servers, a worker: no job runners
    [pid] = [process.pid for process in psutil.process_iter() if _is(process, killed, sandbox.root)]
    psutil.Process(pid).send_signal(signal.SIGKILL)
    if killed == "flows.infrastructure.prefect_pages":  # the worker looks for it for a while; a person stops it
        until(lambda: psutil.pid_exists(serve.pid), 1, "the command to be there")
        serve.terminate()
    serve.wait(60)
    until(lambda: at_work_in(sandbox.root) == [], 60, f"the rest to end: {at_work_in(sandbox.root)}")


def _is(process: psutil.Process, module: str, root: Path) -> bool:
    try:
        return process.cwd() == str(root) and module in process.cmdline()
    except psutil.Error:
        return False
