"""A run whose worker was killed does not stay "Running" while the server goes on."""

import signal
from pathlib import Path

import psutil
import pytest

from flows.infrastructure.lost_runs import NAME, SILENT_SECONDS
from flows.infrastructure.server import prefect_server
from tests.e2e.sandbox import new_project
from tests.func.served import fill, serving, until

pytestmark = [pytest.mark.timeout(1200), pytest.mark.service]


def test_a_run_whose_worker_was_killed_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else uses the server, so that it does not end with what `make serve` started."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    sandbox = new_project(tmp_path / "project", OMP_NUM_THREADS="1")
    values = sandbox.params()
    values["distillation"]["epochs"] = 40
    sandbox.set_params(values)
    fill(sandbox.root)
    with prefect_server(sandbox.root):
        with serving(sandbox, tmp_path / "first.log"):
            pass
        with serving(sandbox, tmp_path / "second.log") as (served, pid):
            assert [one["name"] for one in served.ask("automations/filter", {})] == [NAME]  # one, made twice
            run = served.start("build-database", of="source", count=80).raise_for_status().json()["id"]
            beat = {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}}
            until(lambda: served.ask("events/filter", beat)["total"] > 0, 200, "a heartbeat")
            children = psutil.Process(pid).children(recursive=True)
            [worker] = [process for process in children if "flows.infrastructure.worker" in process.cmdline()]
            worker.send_signal(signal.SIGKILL)
            ended = served.wait(run, SILENT_SECONDS + 120)
            assert ended["state_type"] == "CRASHED"
            assert "worker was killed" in ended["state"]["message"]
