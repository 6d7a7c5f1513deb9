"""DVC where its cache is damaged, and where two of it are at work at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.func.served import until

pytestmark = pytest.mark.service

PIPELINE = {
    "stages": {
        "students": {
            "cmd": "echo students >> ran.txt; while [ -e wait ]; do sleep 0.1; done; mkdir -p data; cp seed.txt data/a",
            "deps": ["seed.txt"],
            "outs": [{"data": {"persist": True}}],
        },
        "evaluate": {
            "cmd": "echo evaluate >> ran.txt; cat data/a data/a > table.csv",
            "deps": ["data"],
            "outs": ["table.csv"],
        },
    }
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=tmp_path, env=_environment(), check=True)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    (tmp_path / "seed.txt").write_text("1,2\n")
    subprocess.run(
        [sys.executable, "-m", "dvc", "remote", "add", "-q", "-d", "local", str(tmp_path / "remote")],
        cwd=tmp_path, env=_environment(), check=True,
    )  # fmt: skip
    return tmp_path


@pytest.mark.parametrize("pull", [True, False])
def test_a_damaged_cache_object_is_found_by_its_hash_and_what_it_held_made_again(project: Path, pull: bool) -> None:
    assert _dvc(project, "repro").returncode == 0
    assert _dvc(project, "push").returncode == 0
    lock = (project / "dvc.lock").read_text()
    for lost in (True, False):  # as where a file is gone, and as where it is still there
        md5 = yaml.safe_load(lock)["stages"]["evaluate"]["outs"][0]["md5"]
        cached = project / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        cached.chmod(0o644)
        cached.write_text("9,9\n9,9\n")
        if lost:
            (project / "data" / "a").unlink()
            (project / "table.csv").unlink()
            _dvc(project, "checkout")  # believes the cache
        assert "not in cache" in _dvc(project, "status").stdout + _dvc(project, "status").stderr
        if pull:
            (project / "table.csv").unlink(missing_ok=True)  # DVC believes the copy that it made itself
        done = _dvc(project, "pull" if pull else "repro")
        assert done.returncode == 0, done.stderr
        assert (project / "table.csv").read_text() == "1,2\n1,2\n"
        assert (project / "dvc.lock").read_text() == lock
        assert cached.read_text() == "1,2\n1,2\n"


def test_a_second_repro_says_that_one_is_at_work_and_the_first_goes_on(project: Path) -> None:
    (project / "wait").touch()
    first = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"], cwd=project, env=_environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        until((project / "ran.txt").exists, 60, "the first to be at work")
        second = _dvc(project, "repro")
    finally:
        (project / "wait").unlink()
        out, _ = first.communicate(timeout=60)
    assert second.returncode != 0
    told = [line for line in second.stderr.splitlines() if line.startswith("ERROR")]
    assert len(told) == 1, second.stderr
    assert "it is being blocked by" in second.stderr or "Unable to acquire lock" in second.stderr
    assert first.returncode == 0, out
    assert (project / "ran.txt").read_text().split() == ["students", "evaluate"]


def _dvc(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dvc", *command], cwd=root, env=_environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    here = str(Path(__file__).parents[2])
    known = {"PATH": path, "PYTHONPATH": here, "GIT_CONFIG_GLOBAL": os.devnull, "DVC_NO_ANALYTICS": "1"}
    return {**os.environ, **known, "PREFECT_API_URL": ""}
