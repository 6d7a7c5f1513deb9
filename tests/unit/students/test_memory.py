"""A student that memory does not suffice for: tried alone, then filed as failed; the others are what they would be."""

import os
import resource
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.students.build import build_students, student_record
from dass.students.database import StudentDatabase
from dass.students.plan import StudentJob
from dass.students.record import StudentRecord
from dass.students.task_key import task_key
from dass.training.recipes import distill
from dass.training.workers import Workers

CPU = torch.device("cpu")
LARGEST = Architecture(((16,) * 5, (16,), (16,), (16,)))
SMALL = [Architecture((blocks, (16,), (16,), (16,))) for blocks in ((16,), (4, 16))]
SPARE = 400 << 20  # bytes that a worker may still take: the small students need 200 to 300 MiB, the largest over 500


def task() -> TaskData:
    images = torch.randint(0, 256, (256, 32, 32, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    images, labels = images.permute(0, 3, 1, 2), torch.arange(256) % 4
    return TaskData("rows", ("a", "b", "c", "d"), images, labels, images[:64], labels[:64], "0123456789ab")


def task_with_little_memory(tester: int) -> TaskData:
    """In a worker, which is another process than the test's, the kernel gives no more than a little from now on."""
    data = task()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if os.getpid() != tester and soft == resource.RLIM_INFINITY:
        torch.optim.SGD([torch.zeros(1)], lr=0.1)  # imports what training needs beside torch, a quarter of a gigabyte
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + SPARE, hard))
    return data


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setenv("GLIBC_TUNABLES", "")  # freed memory goes back to the system, which then gives it again
    with Workers(1) as pool:
        yield pool


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc: memory cannot be made short here")
def test_a_student_that_does_not_fit_is_tried_alone_then_filed_as_failed(
    recipe: DistillationRecipe, worker: Workers, tmp_path: Path
) -> None:
    recipe = recipe.model_copy(update={"batch_size": 256, "epochs": 1, "evaluations": 1, "precision": "float32"})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher = ElasticResNet(LARGEST, 4).eval()
    jobs = [StudentJob(architecture, 0) for architecture in (LARGEST, *SMALL)]
    records: list[StudentRecord] = []
    load = partial(task_with_little_memory, os.getpid())
    for batch in build_students(teacher, load, jobs, recipe, workers=worker, device=CPU, group=3):
        records += batch
    failed = {record.arch_id: record.failure for record in records if record.failure}
    assert list(failed) == [LARGEST.arch_id]
    assert failed[LARGEST.arch_id].startswith("out of memory: ")

    data = task()
    key = task_key(data, teacher, recipe, CPU)
    database = StudentDatabase(tmp_path)
    database.append("rows", records)
    ranked = {record.arch_id: record for record in database.read(key)}
    assert set(ranked) == {architecture.arch_id for architecture in SMALL}
    assert database.missing(key, jobs) == []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for architecture in SMALL:
        [alone] = distill(teacher, [architecture], data, recipe, seed=0, device=CPU)
        assert ranked[architecture.arch_id].differences(student_record(alone, key, data, CPU)) == ()
    torch.set_num_threads(threads)
