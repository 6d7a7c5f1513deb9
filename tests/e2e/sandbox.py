"""A throw-away project: a fresh git and DVC repository with the real code and tiny numbers."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dass.students.database import StudentDatabase

HERE = Path(__file__).parents[2]
PARTS = (
    "dass", "flows", "experiments", "presets", "dvc.yaml", ".dvcignore", ".gitignore", "prefect.toml", "prefect.yaml",
    "data/checkpoints",
)  # fmt: skip
SECONDS = 600  # a command that takes longer hangs
OUTSIDE = ("PREFECT_API_URL", "PREFECT_HOME", "MLFLOW_TRACKING_URI", "DASS_DEVICE", "DASS_WORKERS")


@dataclass(frozen=True)
class Sandbox:
    """A throw-away project.

    Attributes:
        root: its folder.
        environment: of every command run in it.
    """

    root: Path
    environment: dict[str, str]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command in the project; `check` fails the test with what it printed."""
        with subprocess.Popen(
            command, cwd=self.root, env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            try:
                out, err = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with everything it had started
                out, err = process.communicate()
                pytest.fail(f"{command} did not end in {SECONDS} s\n{out[-4000:]}\n{err[-4000:]}")
        if check:
            assert process.returncode == 0, f"{command}\n{out[-4000:]}\n{err[-4000:]}"
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Starts a command as a process group of its own, to be killed by the test."""
        return subprocess.Popen(
            command, cwd=self.root, env=self.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def repro(self, *stages: str) -> list[str]:
        """Runs `dvc repro`; gives the stages that ran."""
        done = self.run("dvc", "repro", *stages)
        return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage '")]

    def params(self) -> dict:
        """What params.yaml says."""
        return yaml.safe_load((self.root / "params.yaml").read_text())

    def set_params(self, values: dict) -> None:
        """Writes params.yaml."""
        (self.root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def new_project(root: Path, **environment: str) -> Sandbox:
    """Makes a throw-away project in a new folder, committed once; `environment` is added to that of its commands."""
    root.mkdir()
    for part in PARTS:
        source, place = HERE / part, root / part
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            copy_code(source, place)
        else:
            shutil.copy(source, place)
    outside = {key: value for key, value in os.environ.items() if key not in OUTSIDE}
    made = Sandbox(
        root,
        outside
        | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(root),
            "PREFECT_HOME": str(root / ".prefect"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DVC_NO_ANALYTICS": "1",
            "DASS_WORKERS": "2",
            "OMP_NUM_THREADS": "1",  # a second thread waits at full speed for networks as small as these
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{
                f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
            },
        }
        | environment,
    )
    made.set_params(tiny_params())
    made.run("git", "init", "-q")
    made.run("dvc", "init", "-q")
    made.run("git", "add", "-A")
    made.run("git", "commit", "-qm", "start")
    return made


def copy_code(source: Path, place: Path) -> None:
    """Copies a folder with its compiled files, so that no process has to compile it again; not those half written."""
    shutil.copytree(source, place, ignore=shutil.ignore_patterns("*.pyc.*"))


def tiny_params() -> dict:
    """The demo preset with as little work as shows everything."""
    values = yaml.safe_load((HERE / "presets" / "demo.yaml").read_text())
    values["space"] |= {"widths": [4, 8, 8, 16], "ratios": [0.5, 1.0]}
    values["source"] |= {"classes_per_group": 4, "splits": [0, 1, 2], "validation": [2]}
    values["teacher"] |= {"epochs": 2, "min_steps": 0, "batch_size": 16}
    values["distillation"] |= {"epochs": 1, "min_steps": 0, "batch_size": 16}
    values["students"] |= {"per_source": 4, "per_target": 5}
    values["predictor"] |= {"episodes": 10, "query": 4, "validate_every": 5}
    values["search"] |= {"candidates": 40, "one_batch": 10, "k_step": 2, "steps": 50}
    values["evaluation"] |= {"bootstrap": 100}
    values["targets"] = {"digits": {"dataset": "digits"}}
    return values


def every_record(sandbox: Sandbox) -> dict:
    """Identity and time of each record of the source tasks."""
    database = StudentDatabase(sandbox.root / "data/students/source")
    return {record.identity: record.finished_at for task in database.tasks() for record in database.read_all(task)}
