"""Stage `students` of a throw-away project, to be run whole, stopped or robbed of what it needs."""

import subprocess
import sys
from dataclasses import dataclass

import psutil

from dass.students.database import StudentDatabase
from dass.students.record import StudentRecord
from tests.e2e.sandbox import Sandbox
from tests.func.served import until

TASKS, EACH = 3, 6  # source tasks, students of each


@dataclass(frozen=True)
class Stage:
    """A project whose next stage is `students`.

    Attributes:
        sandbox: the project, whose commands know the server.
        api: of its Prefect server.
    """

    sandbox: Sandbox
    api: str

    def start(self, module: str = "flows.stages.students", **environment: str) -> subprocess.Popen[str]:
        """Starts the stage, or another."""
        return subprocess.Popen(
            [sys.executable, "-m", module], cwd=self.sandbox.root, text=True,
            env={**self.sandbox.environment, "PREFECT_API_URL": self.api, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def run(self, module: str = "flows.stages.students", **environment: str) -> tuple[int, str]:
        """Runs the stage, or another; gives its exit code and what it said."""
        stage = self.start(module, **environment)
        out, _ = stage.communicate(timeout=800)
        return stage.returncode, out

    @property
    def database(self) -> StudentDatabase:
        return StudentDatabase(self.sandbox.root / "data" / "students" / "source")

    def records(self) -> dict[tuple, StudentRecord]:
        """All records by identity; none may be there twice."""
        found = [record for task in self.database.tasks() for record in self.database.read_all(task)]
        assert len({record.identity for record in found}) == len(found)
        return {record.identity: record for record in found}

    def begin(self, records: int, **environment: str) -> subprocess.Popen[str]:
        """Starts the stage and waits until it has made so many records."""
        stage = self.start(**environment)
        until(lambda: stage.poll() is not None or len(self.records()) >= records, 500, "records")
        assert stage.poll() is None, stage.communicate()[0]
        return stage

    def workers(self) -> list[str]:
        """Worker processes that are still there."""
        return [
            process.name()
            for process in psutil.process_iter(["cwd", "cmdline"])
            if process.info["cwd"] == str(self.sandbox.root)
            and "dass.training.workers" in (process.info["cmdline"] or [])
        ]

    def goes_on_from(self, before: dict[tuple, StudentRecord], **environment: str) -> None:
        """The same command ends well, keeps what was there and makes the rest."""
        code, out = self.run(**environment)
        assert code == 0, out
        after = self.records()
        assert len(after) == TASKS * EACH
        assert before.items() <= after.items()


def last_line(out: str) -> str:
    return out.rstrip().rsplit("\n", 1)[-1]
