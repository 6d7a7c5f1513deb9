"""A student whose loss is no longer finite: filed with its reason, never ranked, and no hindrance to the others."""

import copy
from functools import partial
from pathlib import Path

import torch

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.students.build import build_students
from dass.students.database import StudentDatabase
from dass.students.plan import StudentJob
from dass.students.task_key import task_key
from dass.training.workers import Workers

CPU = torch.device("cpu")


def test_it_is_filed_as_failed_and_the_others_go_on(
    data: TaskData, space: SearchSpace, recipe: DistillationRecipe, tmp_path: Path
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher = ElasticResNet(space.largest, 4).eval()
    # Sound as a teacher is used, since nothing comes through this convolution; its gradient is beyond float32.
    with torch.no_grad():
        block = teacher.stages[0][1]
        block.conv1.weight.zero_()
        block.bn1.weight.fill_(1e38)
        block.bn1.bias.fill_(1.0)
    shallow, deep = (Architecture((blocks, (8,), (8,), (16,))) for blocks in ((4,), (4, 4)))
    recipe = recipe.model_copy(update={"precision": "float32"})
    database, key = StudentDatabase(tmp_path), task_key(data, teacher, recipe, CPU)
    jobs = [StudentJob(architecture, 0) for architecture in (shallow, deep)]
    with Workers(1) as workers, database.writer("rows") as writer:
        load = partial(copy.copy, data)
        for records in build_students(teacher, load, jobs, recipe, workers=workers, device=CPU, group=2):
            writer.append(records)
    [failed] = [record for record in database.read_all("rows") if record.failure]
    assert failed.arch_id == deep.arch_id
    assert failed.failure.startswith("loss became nan in epoch 1, step ")
    assert [record.arch_id for record in database.read(key)] == [shallow.arch_id]
    assert database.missing(key, jobs) == []
