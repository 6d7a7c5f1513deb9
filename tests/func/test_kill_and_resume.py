"""SIGKILL at random moments: every finished record is kept, none is doubled, and all are what they would have been."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.students.build import student_record
from dass.students.database import StudentDatabase
from dass.students.plan import target_jobs
from dass.students.task_key import task_key
from dass.training.recipes import distill
from tests.func.many_jobs import KEY, STUDENTS
from tests.samples import RECIPE, SPACE

# A run as the students stage does it: what is missing, one after the other, announced once it is safe.
RUN = """
import sys
from pathlib import Path
from dass.students.database import StudentDatabase
from dass.students.record import StudentRecord
sys.path.insert(0, sys.argv[2])
from tests.func.many_jobs import KEY, all_jobs

database = StudentDatabase(Path(sys.argv[1]))
with database.writer(KEY.task) as writer:
    for job in database.missing(KEY, all_jobs()):
        arch_id = job.architecture.arch_id
        record = StudentRecord(
            task=KEY.task, arch_id=arch_id, architecture=job.architecture, seed=job.seed,
            recipe_id=KEY.recipe_id, teacher_id=KEY.teacher_id, data_id=KEY.data_id, init_accuracy=1.0,
            best_accuracy=2.0, final_accuracy=2.0, final_loss=1.0, kd_loss_at_start=3.0, macs=1, params=1, seconds=0.0,
            device="cpu", torch_version="", finished_at="", failure="",
        )
        print("start", arch_id, job.seed, flush=True)
        writer.append([record])
        print("done", arch_id, job.seed, flush=True)
"""


def test_records_survive_kills_at_random_moments(tmp_path: Path) -> None:
    database = StudentDatabase(tmp_path / "students")
    dice = random.Random(0)
    finished: set[tuple[str, int]] = set()
    kills = 0
    for _ in range(100):
        with (tmp_path / "log").open("w") as log:
            run = subprocess.Popen(
                [sys.executable, "-c", RUN, str(database.folder), str(Path(__file__).parents[2])], stdout=log
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


CPU = torch.device("cpu")
LONGER = RECIPE.model_copy(update={"epochs": 8, "precision": "auto"})

BUILD = """
import copy, sys
from functools import partial
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.func.test_kill_and_resume import CPU, LONGER, tiny_task, tiny_teacher
from dass.students.build import build_students
from dass.students.task_key import task_key
from dass.students.database import StudentDatabase
from dass.students.plan import target_jobs
from dass.training.workers import Workers
from tests.samples import SPACE

data, teacher = tiny_task(), tiny_teacher()
key = task_key(data, teacher, LONGER, CPU)
database = StudentDatabase(Path(sys.argv[1]))
with Workers(2) as workers, database.writer(key.task) as writer:
    jobs = database.missing(key, target_jobs(SPACE, 12, 0))
    print(len(jobs), flush=True)
    for records in build_students(
        teacher, partial(copy.copy, data), jobs, LONGER, workers=workers, device=CPU
    ):
        writer.append(records)
        print(*(record.arch_id for record in records), flush=True)
"""


def tiny_task() -> TaskData:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (96, 8, 8, 3), generator=generator).to(torch.uint8).permute(0, 3, 1, 2)
    labels = torch.arange(96) % 3
    return TaskData("tiny", ("a", "b", "c"), images[:64], labels[:64], images[64:], labels[64:], "0123456789ab")


def tiny_teacher() -> ElasticResNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ElasticResNet(SPACE.largest, 3).eval()


def test_a_database_built_through_kills_equals_one_built_without(tmp_path: Path) -> None:
    database = StudentDatabase(tmp_path / "students")
    finished: list[str] = []
    for kills, kill_after in enumerate((1, 4, None)):  # records of a run after which it is killed
        run = subprocess.Popen(
            [sys.executable, "-c", BUILD, str(database.folder), str(Path(__file__).parents[2])],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert run.stdout is not None
        missing = int(run.stdout.readline())
        assert 12 - len(finished) - kills <= missing <= 12 - len(finished)  # a kill may come before the announcement
        for count, line in enumerate(run.stdout, start=1):
            finished += line.split()
            if count == kill_after:
                run.kill()
        run.stdout.close()
        assert run.wait() == (0 if kill_after is None else -signal.SIGKILL)
    assert len(set(finished)) == len(finished)  # nothing was trained twice

    data, teacher = tiny_task(), tiny_teacher()
    key = task_key(data, teacher, LONGER, CPU)
    records = {record.arch_id: record for record in database.read(key)}
    assert len(records) == 12
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for job in target_jobs(SPACE, 12, 0):
        [result] = distill(teacher, [job.architecture], data, LONGER, seed=0, device=CPU)
        expected = student_record(result, key, data, CPU)
        assert records[job.architecture.arch_id].differences(expected) == ()
    torch.set_num_threads(threads)
