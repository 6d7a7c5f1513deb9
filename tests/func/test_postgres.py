"""MLflow's server on a real PostgreSQL, started as docs/operations.md says: what is recorded outlives both."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from dass.errors import DassError
from dass.tracking.lineage import lineage
from dass.tracking.promotion import promote
from dass.tracking.runs import RunContent, record_run
from dass.tracking.store import open_store
from flows.infrastructure.server import answers
from tests.func.served import free_port, until
from tests.func.test_tracking import CHAMPION, _data, _register

pytestmark = [pytest.mark.service, pytest.mark.timeout(1800)]

SCRIPT = Path(__file__).parents[2] / "docs" / "templates" / "mlflow-server.sh"
TOOLS = Path("/usr/lib/postgresql")


@pytest.fixture(scope="module")
def database() -> Iterator[tuple[str, "Postgres"]]:
    """An empty database with a password."""
    if not find_spec("psycopg2"):
        pytest.skip("the extra `postgres` is not installed")
    tools = [shutil.which(name) or next(map(str, TOOLS.glob(f"*/bin/{name}")), "") for name in ("initdb", "pg_ctl")]
    if not all(tools):
        pytest.skip("no PostgreSQL here: initdb and pg_ctl are not found")
    folder = Path(tempfile.mkdtemp(prefix="dass-postgres-"))
    postgres = Postgres(*tools, folder, free_port())
    try:
        postgres.make("secret")
        with postgres.running():
            yield f"postgresql+psycopg2://dass:secret@127.0.0.1:{postgres.port}/postgres", postgres
    finally:
        shutil.rmtree(folder)


class Postgres:
    """A PostgreSQL of its own; it refuses to be root, so that root runs it as nobody."""

    def __init__(self, initdb: str, pg_ctl: str, folder: Path, port: int) -> None:
        self._initdb, self._pg_ctl, self._folder, self.port = initdb, pg_ctl, folder, port
        self._user = "nobody" if os.geteuid() == 0 else None

    def make(self, password: str) -> None:
        (self._folder / "password").write_text(password)
        if self._user:
            for path in (self._folder, self._folder / "password"):
                shutil.chown(path, self._user)
        self._run(
            self._initdb, "-D", str(self._folder / "data"), "-U", "dass", "-A", "scram-sha-256",
            "--pwfile", str(self._folder / "password"), "--no-sync",
        )  # fmt: skip

    @contextmanager
    def running(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self.control("stop", "-m", "immediate")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        self.control("start", "-l", str(self._folder / "log"), "-o", options)

    def control(self, *command: str) -> None:
        self._run(self._pg_ctl, "-w", "-D", str(self._folder / "data"), *command)

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, user=self._user, cwd=self._folder, text=True, check=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE if command[0] == self._initdb else subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_runs_models_and_aliases_outlive_the_server_and_the_database(
    database: tuple[str, Postgres], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, postgres = database
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    content = RunContent("teachers", "split0", lineage(tmp_path, []), metrics={"accuracy": 40.0})
    with server(uri, tmp_path, port):
        store = open_store(tmp_path)
        first = record_run(store, content)
        promoted = promote(store, _register(store, tmp_path, _data()))
        assert promoted.alias == "champion"
    postgres.control("stop", "-m", "immediate")  # as a power cut: it comes back by its log
    with pytest.raises(
        DassError, match=f"no database answers at postgresql\\+psycopg2://\\*\\*\\*@127.0.0.1:{postgres.port}"
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        open_store(tmp_path)
    postgres.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    with server(uri, tmp_path, port):
        store = open_store(tmp_path)
        assert record_run(store, content) == first
        assert promote(store, _register(store, tmp_path, _data())).version == promoted.version
        code = "import mlflow, numpy as np, sys\nmodel = mlflow.pyfunc.load_model(sys.argv[1])\n"
        code += "print(*model.predict(np.zeros((2, 16, 16, 3), np.uint8))['class'])"
        answer = subprocess.run(
            [sys.executable, "-c", code, CHAMPION], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert answer.stdout.split() == ["cat", "cat"], answer.stderr
    assert not (tmp_path / "mlflow.db").exists()
    assert list((tmp_path / "artifacts").rglob("weights.safetensors"))


@contextmanager
def server(uri: str, folder: Path, port: int) -> Iterator[None]:
    """What the script starts, killed at the end."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    settings = {"DATABASE": uri, "ARTIFACTS": str(folder / "artifacts"), "PORT": str(port), "WORKERS": "1"}
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [str(SCRIPT)], cwd=folder, env={**os.environ, **quiet, **settings}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: process.poll() is not None or answers(f"http://127.0.0.1:{port}"), 300, "MLflow's server")
        assert process.poll() is None, (folder / "server.log").read_text()[-3000:]
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
