"""The password of a tracking server is in no page, database or line, whether the server is there or not."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flows.ui import mlflow_pages
from tests.e2e.sandbox import Sandbox, new_project
from tests.func.served import addresses, fill, free_port, until

pytestmark = [pytest.mark.timeout(600), pytest.mark.service]
PASSWORD = "hunter22"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    made = new_project(tmp_path_factory.mktemp("passwords") / "project", DASS_IDLE_SECONDS="5")
    fill(made.root)
    return made


def holders(root: Path) -> list[Path]:
    """Files under the project that hold the password."""
    files = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return [path for path in files if PASSWORD.encode() in path.read_bytes()]


def test_with_the_server_there(project: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with mlflow_pages(tmp_path) as pages:
        uri = pages.replace("//", f"//me:{PASSWORD}@")
        environment = {**project.environment, "MLFLOW_TRACKING_URI": uri}
        done = subprocess.run(
            [sys.executable, "-m", "flows.run", "students"], cwd=project.root, env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        with closing(sqlite3.connect(project.root / ".prefect" / "prefect.db")) as database:
            kept = str(database.execute("select description, data from artifact").fetchall())
        assert f"({pages}/#/experiments/" in kept  # a link that works in a browser
        log = tmp_path / "serve.log"
        with log.open("wb") as output:
            serve = subprocess.Popen(
                [sys.executable, "-m", "flows.serve"], cwd=project.root, env=environment, stdout=output, stderr=output
            )
        try:
            until(lambda: serve.poll() is not None or addresses(log) is not None, 200, f"a server, see {log}")
            found = addresses(log)
            assert found and found[1] == pages
        finally:
            serve.send_signal(signal.SIGTERM)
            serve.wait(60)
        assert PASSWORD not in done.stdout + done.stderr + log.read_text()
    assert holders(project.root) == []


@pytest.mark.parametrize(
    "form",
    [
        "http://me:{}@127.0.0.1:{}", "http://me:{} x@127.0.0.1:{}", "http://me:x/{}@127.0.0.1:{}",
        "http://127.0.0.1:{1}/?password={0}", "me:{}@127.0.0.1:{}", "me:{}", "postgresql://me:{}@127.0.0.1:{}/db",
        "postgresql://127.0.0.1:{1}/db?user=me&password={0}", "postgresql://me:{} x@127.0.0.1:{}/db",
        "postgresql+psycopg2://me:{}@127.0.0.1:nonsense/db", "nonsense://me:{}@127.0.0.1:{}",
    ],
)  # fmt: skip
def test_where_nothing_answers(project: Sandbox, form: str) -> None:
    uri = form.format(PASSWORD, free_port())
    outside = {**project.environment, "MLFLOW_TRACKING_URI": uri, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    trace = [sys.executable, "-m", "dass.cli.main", "trace", "models:/any/1"]
    done = subprocess.run(trace, cwd=project.root, env=outside, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert PASSWORD not in done.stdout + done.stderr, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    if form.startswith("http://me:{}@"):  # one of them within a flow
        stage = [sys.executable, "-m", "flows.run", "dataset", "digits"]
        done = subprocess.run(stage, cwd=project.root, env=outside, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert PASSWORD not in done.stdout + done.stderr, done.stderr
    assert holders(project.root) == []
