"""A disk that is full and one that is read-only: one line, nothing half-written, and it goes on when there is room.

The disks are real ones of a megabyte in memory; only root may mount them, so others see these tests skipped.
"""

import copy
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from dass.errors import DassError
from dass.files import write_json
from dass.space.architecture import Architecture
from dass.students.build import build_students
from dass.students.database import StudentDatabase
from dass.students.plan import target_jobs
from dass.students.record import StudentRecord
from dass.students.task_key import task_key
from dass.students.trained import TrainedStudent, save_student
from dass.training.checkpoint import Checkpoint, TrainingState
from dass.training.workers import Workers
from tests.func.test_kill_and_resume import CPU, RECIPE, SPACE, tiny_task, tiny_teacher

RECORD = StudentRecord(
    task="tiny", arch_id="a" * 12, architecture=Architecture(((4, 8), (8,), (8,), (16,))), seed=0,
    recipe_id="r" * 12, teacher_id="t" * 12, data_id="d" * 12, init_accuracy=1.0, best_accuracy=2.0,
    final_accuracy=2.0, final_loss=1.0, kd_loss_at_start=3.0, macs=1, params=1, seconds=0.0, device="cpu",
    torch_version="", finished_at="", failure="",
)  # fmt: skip


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no `mount` here: disks are not made")
    if done.returncode:
        pytest.skip(f"may not mount a disk here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def write_student(path: Path) -> None:
    save_student(path, tiny_teacher(), TrainedStudent.of(RECORD, 3))


def write_checkpoint(path: Path) -> None:
    Checkpoint(path, "run").save(TrainingState(1, 1.0, [tiny_teacher().state_dict()]))


def write_record(path: Path) -> None:
    StudentDatabase(path.parent).append("tiny", [RECORD])


def write_text(path: Path) -> None:
    write_json(path, ["x" * 10_000])


WRITERS = [write_student, write_checkpoint, write_record, write_text]


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_what_was_there(disk: Path, write: Callable[[Path], None]) -> None:
    path = disk / "data" / "file.safetensors"
    write(path)
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    filler = fill_up(disk)
    with pytest.raises(DassError, match="No space left on device") as told:
        write_new(write, path)
    assert "\n" not in str(told.value)
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before
    filler.unlink()
    write_new(write, path)


@pytest.mark.parametrize("write", WRITERS)
def test_a_read_only_disk_is_one_line_and_can_still_be_read(disk: Path, write: Callable[[Path], None]) -> None:
    path = disk / "data" / "file.safetensors"
    write(path)
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(DassError, match="Read-only file system") as told:
        write_new(write, path)
    assert "\n" not in str(told.value)
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before
    if write is write_record:
        assert StudentDatabase(path.parent).read_all("tiny") == [RECORD]


def test_students_that_are_done_when_the_disk_is_full_are_kept_and_the_rest_follows(disk: Path) -> None:
    database, data, teacher = StudentDatabase(disk / "students"), tiny_task(), tiny_teacher()
    key, jobs = task_key(data, teacher, RECIPE, CPU), target_jobs(SPACE, 4, 0)
    with Workers(1) as workers:
        build = partial(build_students, teacher, partial(copy.copy, data), recipe=RECIPE, workers=workers, device=CPU)
        with pytest.raises(DassError, match="No space left on device"), database.writer("tiny") as writer:
            for count, records in enumerate(build(jobs=database.missing(key, jobs))):
                if count == 2:
                    filler = fill_up(disk)
                writer.append(records)
        kept = database.read(key)
        assert len(kept) == 2
        filler.unlink()
        with database.writer("tiny") as writer:
            for records in build(jobs=database.missing(key, jobs)):
                writer.append(records)
    assert len(database.read(key)) == 4
    assert set(kept) < set(database.read(key))


def fill_up(disk: Path) -> Path:
    """Fills a disk to its last byte."""
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


def write_new(write: Callable[[Path], None], path: Path) -> None:
    """Writes again, something new where the same would not be written twice."""
    if write is write_record:
        StudentDatabase(path.parent).append("tiny", [replace(RECORD, seed=1)])
    else:
        write(path)
