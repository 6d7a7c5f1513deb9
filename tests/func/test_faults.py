"""Faults injected into a real stage and into DVC: nothing recorded is lost, nothing is doubled, one line says it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from dass.files import file_sha256
from flows.infrastructure.server import answers, prefect_server, read_note
from tests.func.served import free_port, until
from tests.func.students_stage import EACH, TASKS, Stage, last_line

pytestmark = [pytest.mark.service, pytest.mark.timeout(2400)]

NOBODY = "http://127.0.0.1:9"  # the port of a service that no machine runs any more


def test_sigterm_is_a_clean_stop(stage: Stage) -> None:
    running = stage.begin(records=2)
    running.send_signal(signal.SIGTERM)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM
    assert last_line(out).startswith("stopped")
    assert "Traceback" not in out
    assert stage.workers() == []
    before = stage.records()
    assert 2 <= len(before) < TASKS * EACH
    stage.goes_on_from(before)


def test_without_its_prefect_server_it_finishes_the_task_in_hand_and_stops(stage: Stage) -> None:
    quick = {"PREFECT_CLIENT_MAX_RETRIES": "0"}
    running = stage.begin(records=2, **quick)
    note = read_note(stage.sandbox.root / ".prefect")
    assert note
    os.kill(note.process.pid, signal.SIGKILL)
    out, _ = running.communicate(timeout=300)
    assert running.returncode == 1
    assert "Prefect server" in last_line(out) and "ConnectError" in last_line(out)
    assert stage.workers() == []
    before = stage.records()
    assert len([record for record in before.values() if record.task == "split0"]) == EACH
    with prefect_server(stage.sandbox.root) as api:
        Stage(stage.sandbox, api).goes_on_from(before)


def test_without_its_mlflow_server_it_stops_and_goes_on_when_that_is_back(stage: Stage, tmp_path: Path) -> None:
    code, out = stage.run(MLFLOW_TRACKING_URI=NOBODY, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert code == 1
    assert "tracking store" in last_line(out) and NOBODY in last_line(out)
    assert stage.records() == {}  # known before any work

    port = free_port()
    tracking = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    with mlflow_server(tmp_path, port):
        running = stage.begin(records=2, **tracking)
    out, _ = running.communicate(timeout=300)
    assert running.returncode == 1
    assert "students/split0 in http" in last_line(out)
    before = stage.records()
    assert len(before) == EACH  # all of the task that could not be recorded
    with mlflow_server(tmp_path, port):
        stage.goes_on_from(before, **tracking)
        stage.goes_on_from(stage.records(), **tracking)
        assert sorted(run_names(port)) == ["split0", "split1", "split2"]


def test_a_damaged_database_stops_the_stage_and_a_damaged_teacher_is_trained_again(stage: Stage) -> None:
    code, out = stage.run()
    assert code == 0, out
    before = stage.records()
    file = stage.database.folder / "split1.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:200] + bytes(byte ^ 255 for byte in whole[200:300]) + whole[300:])
    damaged = file.read_bytes()
    code, out = stage.run()
    assert code == 1
    assert f"error: {file} is damaged" in last_line(out) and "`dvc checkout`" in last_line(out)
    assert file.read_bytes() == damaged
    file.write_bytes(whole)
    stage.goes_on_from(before)

    folder = stage.sandbox.root / "data" / "teachers" / "source"
    for attempt in ("trained", "as it was", "damaged"):
        if attempt == "damaged":
            weights = (folder / "split1.safetensors").read_bytes()
            (folder / "split1.safetensors").write_bytes(weights[:-9] + bytes([weights[-9] ^ 1]) + weights[-8:])
            code, out = stage.run()
            assert code == 1
            assert last_line(out).startswith(f"error: {folder / 'split1.safetensors'}")
        code, out = stage.run("flows.stages.teachers")
        assert code == 0, out
        found = {path.name: (file_sha256(path), path.stat().st_mtime_ns) for path in folder.glob("*.safetensors")}
        if attempt == "trained":
            first = found
    assert {name: sha for name, (sha, _) in found.items()} == {name: sha for name, (sha, _) in first.items()}
    assert [name for name in found if found[name] != first[name]] == ["split1.safetensors"]


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[None]:
    """A tracking server on a database in `folder`, killed at the end."""
    command = ["server", "--backend-store-uri", f"sqlite:///{folder}/server.db", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command], cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
    try:
        until(lambda: server.poll() is not None or answers(f"http://127.0.0.1:{port}"), 120, "MLflow's server")
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def run_names(port: int) -> list[str]:
    """Names of the runs of experiment `dass/students`."""
    api = f"http://127.0.0.1:{port}/api/2.0/mlflow"
    experiment = httpx.get(f"{api}/experiments/get-by-name", params={"experiment_name": "dass/students"}).json()
    wanted = {"experiment_ids": [experiment["experiment"]["experiment_id"]], "max_results": 100}
    return [run["info"]["run_name"] for run in httpx.post(f"{api}/runs/search", json=wanted).json()["runs"]]
