"""SIGKILL at random moments: every finished record is kept and none is doubled."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from dass.space.search_space import SearchSpace
from dass.students.database import StudentDatabase
from dass.students.plan import StudentJob
from dass.students.record import TaskKey

STUDENTS = 300
KEY = TaskKey("split0", "d" * 12, "t" * 12, "r" * 12)

# A run as the students stage does it: what is missing, one after the other, announced once it is safe.
RUN = """
import sys
from dataclasses import astuple
from pathlib import Path
from dass.students.database import StudentDatabase
from dass.students.record import StudentRecord
sys.path.insert(0, sys.argv[2])
from test_kill_and_resume import KEY, all_jobs

database = StudentDatabase(Path(sys.argv[1]))
with database.writer(KEY.task) as writer:
    for job in database.missing(KEY, all_jobs()):
        arch_id = job.architecture.arch_id
        task, data_id, teacher_id, recipe_id = astuple(KEY)
        record = StudentRecord(
            task=task, arch_id=arch_id, architecture=str(job.architecture.to_json()), seed=job.seed,
            recipe_id=recipe_id, teacher_id=teacher_id, data_id=data_id, init_accuracy=1.0, best_accuracy=2.0,
            final_accuracy=2.0, final_loss=1.0, kd_loss_at_start=3.0, macs=1, params=1, seconds=0.0, device="cpu",
            torch_version="", finished_at="", failure="",
        )
        print("start", arch_id, job.seed, flush=True)
        writer.append([record])
        print("done", arch_id, job.seed, flush=True)
"""


def all_jobs() -> list[StudentJob]:
    space = SearchSpace((16, 32, 64, 128), 3, (0.25, 0.5, 0.75, 1.0), "block")
    return [StudentJob(architecture, 0) for architecture in space.sample(STUDENTS, np.random.default_rng(0))]


def test_records_survive_kills_at_random_moments(tmp_path: Path) -> None:
    database = StudentDatabase(tmp_path / "students")
    dice = random.Random(0)
    finished: set[tuple[str, int]] = set()
    kills = 0
    for _ in range(100):
        with (tmp_path / "log").open("w") as log:
            run = subprocess.Popen(
                [sys.executable, "-c", RUN, str(database.folder), str(Path(__file__).parent)], stdout=log
            )
        while run.poll() is None and not (tmp_path / "log").read_text():
            time.sleep(0.005)
        if kills < 6:
            time.sleep(dice.uniform(0, 0.3))
            run.send_signal(signal.SIGKILL)
        kills += run.wait() == -signal.SIGKILL
        lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
        announced = {(arch_id, int(seed)) for word, arch_id, seed in lines if word == "done"}
        assert not announced & finished  # nothing was trained again
        in_file = [(record.arch_id, record.seed) for record in database.read_all(KEY.task)]
        assert len(set(in_file)) == len(in_file)
        started = {(arch_id, int(seed)) for _, arch_id, seed in lines}
        # At most the one in flight may be in the file without having been announced.
        assert finished | announced <= set(in_file) <= finished | started
        assert len(set(in_file) - finished - announced) <= 1
        finished = set(in_file)
        if run.returncode == 0:
            break
    assert kills == 6
    assert len(finished) == STUDENTS
    assert not [path.name for path in database.folder.iterdir() if path.suffix == ".tmp"]
    assert len(database.read(KEY)) == STUDENTS
