"""The tracking package against real parts: git, DVC, an MLflow server, a scoring server, processes that die."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.tracking.lineage import lineage
from dass.tracking.promotion import promote
from dass.tracking.registry import RegisteredVersion
from dass.tracking.runs import Curve, RunContent, record_run
from dass.tracking.store import Store, open_store
from dass.tracking.student_card import StudentCard
from dass.tracking.student_registration import register_student
from dass.tracking.trace import trace
from tests.samples import RECIPE

CHAMPION = "models:/dass-student-pets@champion"
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as in an activated environment
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # half of the start of a server
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "DVC_NO_ANALYTICS": "1"}


@dataclass(frozen=True)
class Filed:
    """A project with a champion in its registry, as the pipeline leaves it."""

    root: Path
    version: RegisteredVersion
    data: TaskData
    commit: str


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filed]:
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name, value in QUIET.items():
            patch.setenv(name, value)
        (root / "train.py").write_text("print('first')\n")
        (root / "source.txt").write_text("first data\n")
        (root / ".gitignore").write_text("/made.txt\n/mlflow.db*\n/mlartifacts/\n*.log\n")
        (root / "dvc.yaml").write_text(
            "stages: {copy: {cmd: cp source.txt made.txt, deps: [source.txt], outs: [made.txt]}}"
        )
        _run(root, "git", "init", "--quiet", "--initial-branch", "main")
        _run(root, sys.executable, "-m", "dvc", "init", "--quiet")
        _commit(root, "first")
        _run(root, sys.executable, "-m", "dvc", "repro", "--quiet")  # as in a pipeline, dvc.lock is not committed yet
        store, data = open_store(root), _data()
        version = _register(store, root, data)
        promote(store, version)
        yield Filed(root, version, data, _run(root, "git", "rev-parse", "HEAD").strip())


def test_a_fresh_process_without_the_repository_loads_the_champion(filed: Filed, tmp_path: Path) -> None:
    code = f"""
import json, sys
import mlflow, numpy as np
model = mlflow.pyfunc.load_model({CHAMPION!r})
answer = model.predict(np.zeros((3, 16, 16, 3), np.uint8))
import dass
unwanted = sorted({{"prefect", "dvc", "sklearn", "matplotlib", "pyarrow.parquet"}} & set(sys.modules))
print(json.dumps([list(answer["class"]), dass.__file__, unwanted]))
"""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{filed.root}/mlflow.db"}
    environment.pop("PYTHONPATH", None)
    names, package, unwanted = json.loads(_run(tmp_path, sys.executable, "-c", code, env=environment).splitlines()[-1])
    assert names == ["cat"] * 3
    assert str(filed.root / "mlartifacts") in package
    assert unwanted == []


SERVERS = {
    "mlflow": ["-m", "mlflow", "models", "serve", "--model-uri", CHAMPION, "--env-manager", "local"],
    "dass": ["-m", "dass.cli.main", "serve", CHAMPION, "--max-megabytes", "0.1"],
}


@pytest.mark.parametrize("server", SERVERS)
def test_the_champion_answers_over_http_and_survives_nonsense(filed: Filed, server: str) -> None:
    environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{filed.root}/mlflow.db"}
    with _serving(filed.root, SERVERS[server], "/ping", environment) as address:
        images = filed.data.test_images[:2].permute(0, 2, 3, 1).tolist()
        status, answer = _post(address, {"inputs": images})
        assert status == 200
        assert [row["class"] for row in answer["predictions"]] == ["cat", "cat"]
        assert set(answer["predictions"][0]) == {"class", "probability", "p_ant", "p_bee", "p_cat"}
        assert abs(sum(answer["predictions"][0][f"p_{name}"] for name in filed.data.classes) - 1) < 1e-6
        shares = [[[[value / 255 for value in pixel] for pixel in row] for row in image] for image in images]
        assert _post(address, {"inputs": shares}) == (status, answer)
        refused, told = _post(address, {"inputs": [[[[-0.5, 0, 0]] * 16] * 16]})
        assert refused == 400 and told["message"].startswith("expected images")
        buffer = io.BytesIO()
        Image.new("RGB", (60, 40)).save(buffer, "JPEG")
        photo = base64.b64encode(buffer.getvalue()).decode()
        for sent in (
            {"inputs": [[[[0, 0, 0]] * 8] * 8]},
            {"inputs": images[0]},
            {"inputs": [photo]},
            {"instances": [{"b64": photo}]},
            {"dataframe_split": {"columns": ["image"], "data": [[photo]]}},
            {"dataframe_records": [{"image": photo}]},
        ):
            status, answer = _post(address, sent)
            assert (status, [row["class"] for row in answer["predictions"]]) == (200, ["cat"]), sent
        for nonsense in (
            {"inputs": [images[0][0][0]]},
            {"inputs": [photo[:100]]},
            {"inputs": [[[[300, 0, 0]] * 16] * 16]},
            {"inputs": [[[[-1, 0, 0]] * 16] * 16]},
            {"inputs": "cat"},
            {"inputs": [[[["r", "g", "b"]] * 16] * 16]},
            {"dataframe_split": {"columns": ["a"], "data": [[1]]}},
            {"images": images},
            [1, 2],
        ):
            assert 400 <= _post(address, nonsense)[0] < 500, nonsense
        assert server == "mlflow" or _oversized(address) == [413, 413, 413]
        assert _post(address, {"inputs": images})[0] == 200


def _oversized(address: str) -> list[int]:
    """What is answered to a body that is too large: announced so, then in chunks, then announced and never sent."""
    host, port = address.removeprefix("http://").split(":")
    statuses = []
    for announced, sent in ((200_000, 200_000), (None, 200_000), (10**12, 10)):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            size = f"Content-Length: {announced}" if announced else "Transfer-Encoding: chunked"
            head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{size}\r\n\r\n"
            body = b"1" * sent if announced else b"%x\r\n%s\r\n0\r\n\r\n" % (sent, b"1" * sent)
            connection.sendall(head.encode() + body)
            statuses.append(int(connection.recv(1000).split()[1]))
    return statuses


def test_the_traced_commands_bring_code_and_data_back(filed: Filed, tmp_path: Path) -> None:
    root = filed.root
    (root / "train.py").write_text("print('second')\n")
    (root / "source.txt").write_text("second data\n")
    _run(root, sys.executable, "-m", "dvc", "repro", "--quiet")
    _commit(root, "second, with the lock")
    found = trace(open_store(root), CHAMPION, root)
    assert (found.commit, found.dirty, [item.path for item in found.data]) == (filed.commit, False, ["made.txt"])
    _run(root, "bash", "-euc", "\n".join(found.commands), env={**os.environ, "PATH": PATH})
    assert (root / "train.py").read_text() == "print('first')\n"
    assert (root / "made.txt").read_text() == "first data\n"


def test_a_dirty_state_comes_back_too(filed: Filed) -> None:
    root = filed.root
    _run(root, "git", "checkout", "--quiet", "--force", "main")
    (root / "train.py").write_text("print('tried out')\n")
    store = open_store(root)
    run_id = record_run(store, RunContent("targets", "dirty", lineage(root, ["made.txt"])))
    assert store.client.get_run(run_id).data.tags["git.dirty"] == "true"
    _run(root, "git", "checkout", "--quiet", "train.py")
    version = _register(store, root, filed.data, run_id=run_id, dirty_run=True)
    found = trace(store, version.uri, root)
    _run(root, "bash", "-euc", "\n".join(found.commands), env={**os.environ, "PATH": PATH})
    assert (root / "train.py").read_text() == "print('tried out')\n"


def test_processes_that_use_a_new_project_at_once_agree(tmp_path: Path) -> None:
    code = "import sys, pathlib; from dass.tracking.store import open_store; "
    code += "print(open_store(pathlib.Path(sys.argv[1])).experiment_id('students'))"
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ids = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert ids[0] == ids[1] != ""


def test_a_server_that_goes_away_in_the_middle_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    command = ["-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--workers", "1"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    content = RunContent("teachers", "split0", lineage(tmp_path, []), metrics={"accuracy": 40.0})
    later = RunContent("predictor", "p", content.lineage, curves=(Curve("loss", (0, 1), (2.0, 1.0)),))
    with _serving(tmp_path, command, "/health", NO_JOBS) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        store = open_store(tmp_path)
        first = record_run(store, content)
        promoted = promote(store, _register(store, tmp_path, _data()))
        assert promoted.alias == "champion"
        killed = store.client.create_run(store.experiment_id("predictor"), tags={"dass.key": later.key}).info.run_id
    with pytest.raises(DassError, match=r"cannot record run predictor/p.*(refused|closed|reset)"):
        record_run(store, later)
    port = address.rsplit(":", 1)[1]
    with _serving(tmp_path, command, "/health", NO_JOBS, port):
        assert record_run(store, content) == first
        assert promote(store, _register(store, tmp_path, _data())).version == promoted.version
        done = record_run(store, later)
        assert store.client.get_run(killed).info.status == "KILLED"
        assert [run.info.run_id for run in store.client.search_runs([store.experiment_id("predictor")])] == [
            done,
            killed,
        ]
        assert trace(store, CHAMPION, tmp_path).version == 1
    assert not (tmp_path / "mlflow.db").exists()


def _data() -> TaskData:
    images = torch.randint(0, 256, (20, 16, 16, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    images, labels = images.permute(0, 3, 1, 2), torch.tensor([0] * 5 + [2] * 15)
    return TaskData("pets", ("ant", "bee", "cat"), images, labels, images, labels, "0123456789ab")


def _register(store: Store, root: Path, data: TaskData, run_id: str = "", dirty_run: bool = False) -> RegisteredVersion:
    """Files a student that always answers "cat"."""
    architecture = Architecture(((4, 8), (8, 16), (16,), (32,)))
    torch.manual_seed(0)
    network = ElasticResNet(architecture, 3).eval()
    with torch.no_grad():
        network.classifier.bias.copy_(torch.tensor([0.0, 0.0, 50.0]))
    counted = cost(architecture, 16, 3)
    card = StudentCard(
        target="pets",
        dataset="pets",
        data_id=data.data_id,
        classes=data.classes,
        resolution=16,
        architecture=architecture,
        macs=counted.macs,
        parameters=counted.parameters,
        teacher_id="abcdef012345",
        teacher_accuracy=90.0,
        predictor_id="123456abcdef",
        predicted_accuracy=70.0,
        distilled_accuracy=75.0,
        test_images=20,
        recipe=RECIPE,
        recipe_id="fedcba987654",
        seed=7 + dirty_run,
        licence="Free for any use.",
    )
    made = lineage(root, ["made.txt"])
    if dirty_run:
        (root / "train.py").write_text("print('tried out')\n")
        made = lineage(root, ["made.txt"])
        _run(root, "git", "checkout", "--quiet", "train.py")
    run_id = run_id or record_run(store, RunContent("targets", "pets", made))
    return register_student(store, run_id, network=network, data=data, card=card, lineage=made)


@contextmanager
def _serving(root: Path, command: list[str], health: str, environment: dict[str, str], port: str = "") -> Iterator[str]:
    """Runs an MLflow server until the block ends; gives its address."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    log = root / f"server-{port}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *command, "--host", "127.0.0.1", "--port", port],
            cwd=root,
            env={**os.environ, **QUIET, **environment, "PATH": PATH},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            if process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(address + health, timeout=5):
                    break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail(f"no answer from {address}: {log.read_text()[-2000:]}")
        assert process.poll() is None, log.read_text()[-2000:]
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _post(address: str, body: object) -> tuple[int, dict]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/invocations", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def _commit(root: Path, message: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    _run(root, "git", "add", ".")
    _run(root, "git", *identity, "commit", "--quiet", "-m", message)


def _run(root: Path, *command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
