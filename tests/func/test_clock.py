"""A clock that jumps back an hour again and again: durations stay right, no record is lost, doubled or redone."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dass.students.database import StudentDatabase

pytestmark = pytest.mark.service

# What the C library answers when it is asked for the time of day: an hour less with every tenth question.
SHIM = """
#define _GNU_SOURCE
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
static int asked;
int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME && !failed) now->tv_sec -= 3600 * (++asked / 10);
    return failed;
}
"""

RUN = """
import copy, sys, time
from functools import partial
from pathlib import Path
from dass.students.build import build_students
from dass.students.task_key import task_key
from dass.students.database import StudentDatabase
from dass.students.plan import target_jobs
from dass.training.workers import Workers
from tests.func.test_kill_and_resume import CPU, RECIPE, SPACE, tiny_task, tiny_teacher

times = [time.time() for _ in range(30)]
assert times[-1] < times[0] - 3600, "the clock did not jump"
data, teacher, database = tiny_task(), tiny_teacher(), StudentDatabase(Path(sys.argv[1]))
key = task_key(data, teacher, RECIPE, CPU)
jobs = database.missing(key, target_jobs(SPACE, int(sys.argv[2]), 0))
with Workers(1) as workers, database.writer("tiny") as writer:
    for records in build_students(teacher, partial(copy.copy, data), jobs, RECIPE, workers=workers, device=CPU):
        [time.time() for _ in range(30)]
        writer.append(records)
print(len(jobs))
"""


def test_records_and_durations_do_not_depend_on_the_time_of_day(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if sys.platform != "linux" or not compiler:
        pytest.skip("no C compiler: the clock cannot be made to jump")
    (tmp_path / "clock.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "clock.so", "clock.c"], cwd=tmp_path, check=True)
    database = StudentDatabase(tmp_path / "students")
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "LD_PRELOAD": str(tmp_path / "clock.so"), "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    started = datetime.now(UTC).isoformat()
    before: set = set()
    for count, expected in ((3, "3"), (4, "1")):
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(database.folder), str(count)], env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [expected]
        records = database.read_all("tiny")
        assert all(0 < record.seconds < 600 for record in records)
        assert before <= set(records)
        before = set(records)
    assert len(before) == 4
    assert [record.arch_id for record in records] == sorted(record.arch_id for record in records)
    assert max(record.finished_at for record in records) < started  # by their clock, long before they began
