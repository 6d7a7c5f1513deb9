"""The project's own DVC set-up on a tiny pipeline of the same kinds of outputs: push, clone, pull, repro."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

HERE = Path(__file__).parents[2]
PIPELINE = {
    "stages": {
        "students": {
            "cmd": "mkdir -p data/students && cp seed.txt data/students/a && echo students >> ran.txt",
            "deps": ["seed.txt"],
            "outs": [{"data/students": {"persist": True}}],
        },
        "distil": {
            "foreach": ["a", "b"],
            "do": {
                "cmd": "mkdir -p data/${item} && cp data/students/a data/${item}/w && echo ${item} >> ran.txt",
                "params": ["seed"],
                "deps": ["data/students"],
                "outs": ["data/${item}"],
            },
        },
        "evaluate": {
            "cmd": "mkdir -p reports && cat data/a/w data/b/w > reports/table.csv && echo evaluate >> ran.txt",
            "deps": ["data/a", "data/b"],
            "outs": [{"reports/table.csv": {"cache": False}}],
        },
    }
}
ALL = ["students", "a", "b", "evaluate"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    _run(root, "git", "init", "-q")
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore"):
        shutil.copy(HERE / name, root / name)
    (root / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    (root / "params.yaml").write_text("seed: 0\n")
    (root / "seed.txt").write_text("1,2\n")
    (root / ".gitignore").write_text("/ran.txt\n")
    return root


def test_a_clone_pulls_what_was_pushed_and_redoes_nothing(project: Path, tmp_path: Path) -> None:
    assert _repro(project) == ALL
    _run(project, "git", "add", "-A")
    _run(project, "git", "commit", "-qm", "run")
    _run(project, "dvc", "push")
    assert (project / ".dvc" / "remote").is_dir()
    assert not _run(project, "git", "status", "--porcelain")

    clone = tmp_path / "clone"
    _run(tmp_path, "git", "clone", "-q", str(project), str(clone))
    # The remote lies in the folder of the one who pushed: a clone beside it says where that is.
    _run(clone, "dvc", "remote", "modify", "--local", "local", "url", str(project / ".dvc" / "remote"))
    _run(clone, "dvc", "pull")
    assert (clone / "data" / "b" / "w").read_text() == "1,2\n"
    assert _repro(clone) == []
    assert not _run(clone, "git", "status", "--porcelain")

    (clone / "params.yaml").write_text("seed: 1\n")
    assert _repro(clone) == ["a", "b"]  # with the same results, so nothing follows from them


def test_a_store_that_speaks_s3_takes_the_place_of_the_folder_by_configuration(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (find_spec("dvc_s3") and find_spec("moto")):
        pytest.skip("dvc-s3 and moto[server] are not installed: an S3-compatible store is not tried")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with _s3() as address:
        _repro(project)
        _run(project, "dvc", "remote", "add", "-d", "store", "s3://dass/project")
        _run(project, "dvc", "remote", "modify", "store", "endpointurl", address)
        _run(project, "git", "add", "-A")
        _run(project, "git", "commit", "-qm", "run")
        _run(project, "dvc", "push")
        assert not (project / ".dvc" / "remote").exists()
        clone = tmp_path / "clone"
        _run(tmp_path, "git", "clone", "-q", str(project), str(clone))
        _run(clone, "dvc", "pull")
        assert _repro(clone) == []


@contextmanager
def _s3() -> Iterator[str]:
    """A store with one empty bucket, `dass`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urlopen(Request(f"{address}/dass", method="PUT"), timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < until, "the store does not answer"
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def _repro(root: Path) -> list[str]:
    """Runs the pipeline; gives the stages whose commands ran."""
    (root / "ran.txt").unlink(missing_ok=True)
    _run(root, "dvc", "repro")
    return (root / "ran.txt").read_text().split() if (root / "ran.txt").exists() else []


def _run(root: Path, *command: str) -> str:
    program = [sys.executable, "-m", "dvc"] if command[0] == "dvc" else [command[0]]
    done = subprocess.run(
        [*program, *command[1:]], cwd=root, env=_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _environment() -> dict[str, str]:
    people = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**os.environ, **people, "GIT_CONFIG_GLOBAL": os.devnull, "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "true"}
