"""Stages as forks of a warm process, in a real `dvc repro`: they get, give and end as processes of their own would."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.e2e.sandbox import copy_code
from tests.func.served import until

HERE = Path(__file__).parents[2]
# A module of `flows` like any stage: tells how it finds itself, then does what a file of its stage's name says.
PROBE = """
import json, os, pathlib, signal, sys, time

import psutil

VERSION = 1


def main():
    stage = os.environ["DVC_STAGE"].rpartition(":")[2]
    found = {
        "ahead": "torch" in sys.modules, "version": VERSION, "arguments": sys.argv[1:], "folder": os.getcwd(),
        "given": os.environ.get("GIVEN"), "input": sys.stdin.read(), "pid": os.getpid(),
        "parents": [one.pid for one in psutil.Process().parents()],
    }
    if found["ahead"]:
        from dass.training.workers import Workers

        with Workers(1) as workers:
            found["worker_s_parents"] = [one.value for one in workers.run(os.getppid, [()])]
    print(stage, "speaks")
    print(stage, "warns", file=sys.stderr)
    pathlib.Path(stage + ".json").write_text(json.dumps(found))
    exec(pathlib.Path(stage + ".do").read_text())


if __name__ == "__main__":
    main()
"""
NOTHING = {"one": "", "two": ""}


@dataclass(frozen=True)
class Probed:
    """A project of two stages, one after the other.

    Attributes:
        root: its folder.
        environment: of `dvc repro`.
    """

    root: Path
    environment: dict[str, str]

    def start(self, doing: Mapping[str, str]) -> subprocess.Popen[str]:
        """Starts `dvc repro` in a group of its own, as a terminal does; each stage does what it is told to."""
        for stage, code in doing.items():
            (self.root / f"{stage}.do").write_text(code)
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro", "-f"], cwd=self.root, env=self.environment, text=True,
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def repro(self, doing: Mapping[str, str]) -> tuple[int, str, str]:
        """Runs `dvc repro`; gives its exit code and what it printed."""
        process = self.start(doing)
        out, err = process.communicate(timeout=250)
        return process.returncode, out, err

    def found(self, stage: str) -> dict[str, Any]:
        """How a stage found itself."""
        return json.loads((self.root / f"{stage}.json").read_text())

    def at_work(self) -> list[str]:
        """Commands of this project's processes, but for its Prefect server."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.root) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found


pytestmark = pytest.mark.timeout(600)  # imports take a minute where cores are shared


@pytest.fixture
def project(tmp_path: Path, prefect_api: str) -> Probed:
    """Stages that do nothing unless they are told to."""
    root = tmp_path / "project"
    for part in ("dass", "flows"):
        copy_code(HERE / part, root / part)
    for part in ("params.yaml", "prefect.toml"):
        shutil.copy(HERE / part, root / part)
    (root / "flows" / "stages" / "probe.py").write_text(PROBE)
    command = "python -m flows.run probe"
    one, two = {"cmd": command, "outs": ["one.json"]}, {"cmd": command, "deps": ["one.json"], "outs": ["two.json"]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"one": one, "two": two}}))
    environment = {
        **os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root), "PREFECT_API_URL": prefect_api, "GIVEN": "a b", "DVC_NO_ANALYTICS": "1",
    }  # fmt: skip
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=root, env=environment, check=True)
    return Probed(root, environment)


def test_stages_share_what_is_imported_and_get_what_is_theirs(project: Probed) -> None:
    code, out, err = project.repro(NOTHING)
    assert code == 0, err
    one, two = project.found("one"), project.found("two")
    for found in (one, two):
        assert found["ahead"] and found["given"] == "a b" and found["folder"] == str(project.root)
        assert (found["input"], found["arguments"]) == ("", [])
        [parent] = found["worker_s_parents"]
        assert parent != found["pid"]  # a fork, too, and not started by the stage itself
    assert one["pid"] != two["pid"] and warm(one) == warm(two)
    assert [line for line in out.splitlines() if line.endswith("speaks")] == ["one speaks", "two speaks"]
    assert [line for line in err.splitlines() if line.endswith("warns")] == ["one warns", "two warns"]
    until(lambda: project.at_work() == [], 60, "the warm process to end")
    assert list((project.root / ".prefect").glob("warm-*")) == []


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("sys.exit(3)", 3),
        pytest.param("raise ValueError('no reason')", 1, marks=pytest.mark.service),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", 137, marks=pytest.mark.service),
    ],
)
def test_a_stage_ends_with_its_own_code(project: Probed, ending: str, code: int) -> None:
    ended, _, err = project.repro({"one": ending, "two": ""})
    assert ended != 0
    assert f"exited with {code}" in err
    assert ("no reason" in err) == ("ValueError" in ending)
    assert not (project.root / "two.json").exists()


def test_a_killed_warm_process_takes_no_stage_with_it(project: Probed) -> None:
    code, _, err = project.repro({"one": "os.kill(found['parents'][1], signal.SIGKILL); time.sleep(1)", "two": ""})
    assert code == 0, err
    one, two = project.found("one"), project.found("two")
    assert one["ahead"] and two["ahead"]
    assert warm(one) != warm(two)


@pytest.mark.service
def test_a_stage_whose_watcher_was_killed_is_stopped_and_said_to_be(project: Probed) -> None:
    code, _, err = project.repro({"one": "os.kill(found['parents'][0], signal.SIGKILL); time.sleep(60)", "two": ""})
    assert code != 0
    assert err.count("error: ") == 1 and "exited with 1" in err
    until(lambda: project.at_work() == [], 60, "the stage to end")


@pytest.mark.service
def test_code_that_changes_between_stages_is_imported_anew(project: Probed) -> None:
    change = (
        "path = pathlib.Path('flows/stages/probe.py'); "
        "path.write_text(path.read_text().replace('VERSION = 1', 'VERSION=22'))"
    )
    code, _, err = project.repro({"one": change, "two": ""})
    assert code == 0, err
    assert (project.found("one")["version"], project.found("two")["version"]) == (1, 22)
    assert project.found("two")["ahead"] and warm(project.found("one")) != warm(project.found("two"))


@pytest.mark.parametrize(
    ("stop", "whole_group"),
    [
        (signal.SIGINT, True),
        pytest.param(signal.SIGTERM, True, marks=pytest.mark.service),
        pytest.param(signal.SIGKILL, True, marks=pytest.mark.service),
        pytest.param(signal.SIGKILL, False, marks=pytest.mark.service),
    ],
)
def test_whatever_ends_dvc_ends_its_stage(project: Probed, stop: signal.Signals, whole_group: bool) -> None:
    # Where the tests run in the background of a script, Ctrl-C is ignored, and so it would be by what they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = project.start({"one": "time.sleep(60)", "two": ""})
    finally:
        signal.signal(signal.SIGINT, before)
    until((project.root / "one.json").exists, 200, "the stage to be at work")
    os.killpg(process.pid, stop) if whole_group else process.send_signal(stop)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Traceback" not in err
    assert ("stopped: " in err) == (stop is not signal.SIGKILL or not whole_group)
    until(lambda: project.at_work() == [], 60, "the stage to end")


def test_where_no_socket_can_be_made_the_stage_runs_where_dvc_started_it(project: Probed) -> None:
    (project.root / ".prefect").write_text("no folder")
    code, _, err = project.repro(NOTHING)
    assert code == 0, err
    assert not project.found("one")["ahead"]


def warm(found: Mapping[str, Any]) -> int:
    """Number of the warm process, behind the watcher."""
    return found["parents"][1]
