"""What a run from the page does beside another `dvc`."""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flows.deployments.repro import DvcBusyError, at_work, lay

ROOT = Path(__file__).parents[4]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copy(ROOT / "presets" / "demo.yaml", tmp_path / "params.yaml")
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hold(project: Path, kind: str, pid: int) -> None:
    """Writes DVC's list of locks."""
    holder = {"pid": pid, "cmd": "dvc repro"}
    (project / ".dvc" / "tmp" / "rwlock").write_text(json.dumps({kind: {"a": [holder] if kind == "read" else holder}}))


@pytest.mark.parametrize("kind", ["read", "write"])
def test_a_preset_is_not_laid_under_a_stage_that_runs(project: Path, kind: str) -> None:
    before = (project / "params.yaml").read_bytes()
    hold(project, kind, os.getpid())
    with pytest.raises(DvcBusyError, match="dvc repro"):
        lay.fn(project, "small", False)
    assert (project / "params.yaml").read_bytes() == before


def test_nor_while_dvc_looks_at_the_project(project: Path) -> None:
    with (project / ".dvc" / "tmp" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert at_work(project)
    assert at_work(project) is None


def test_what_died_does_not_count(project: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    hold(project, "write", ended.pid)
    lay.fn(project, "small", False)
    assert (project / "params.yaml").read_bytes() == (project / "presets" / "small.yaml").read_bytes()


def test_nor_does_a_later_process_with_the_number_of_one_that_died(project: Path) -> None:
    hold(project, "write", os.getpid())
    os.utime(project / ".dvc" / "tmp" / "rwlock", (1e9, 1e9))
    assert at_work(project) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"write": {"a": {}}}'])
def test_a_list_that_says_nothing_is_none(project: Path, text: str) -> None:
    (project / ".dvc" / "tmp" / "rwlock").write_text(text)
    assert at_work(project) is None
