"""Tasks as tensors, and the scale of their accuracies."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dass.errors import DassError
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.predictor.tasks import TargetScale, TaskTensors, build_task
from dass.space.search_space import SearchSpace


def test_a_built_task_holds_what_the_networks_give(
    space: SearchSpace, noise: torch.Tensor, teacher: ElasticResNet
) -> None:
    architectures = space.sample(7, np.random.default_rng(0))
    task = build_task(
        "t", teacher, 50.0, space, noise, architectures=architectures, accuracies=[float(i) for i in range(7)]
    )
    with torch.no_grad():
        torch.testing.assert_close(task.teacher_embedding, teacher.features(noise)[0], rtol=1e-4, atol=1e-5)
        for index, architecture in enumerate(architectures):
            expected = remap(teacher, architecture).eval().features(noise)[0]
            torch.testing.assert_close(task.student_embeddings[index], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(task.codes, torch.from_numpy(space.encode(architectures)))
    assert torch.equal(task.teacher_code, torch.from_numpy(space.encode([space.largest]))[0])
    assert task.accuracies.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_a_task_without_students(space: SearchSpace, noise: torch.Tensor, teacher: ElasticResNet) -> None:
    task = build_task("t", teacher, 50.0, space, noise)
    assert task.student_embeddings.shape == (0, 10, 2, 2)
    assert task.codes.shape == (0, space.code_length)


def test_content_follows_every_field(tasks: list[TaskTensors]) -> None:
    task = tasks[0]
    assert task.content() == replace(task).content()
    others = [
        replace(task, name="other"),
        replace(task, teacher_accuracy=1.0),
        replace(task, accuracies=task.accuracies + 1),
        replace(task, codes=task.codes + 1),
        replace(task, student_embeddings=task.student_embeddings * 2),
        replace(task, student_embeddings=task.student_embeddings.bfloat16()),
        replace(task, teacher_code=task.teacher_code + 1),
        replace(task, teacher_embedding=task.teacher_embedding + 1),
    ]
    assert len({task.content(), *(other.content() for other in others)}) == len(others) + 1


def test_bad_tasks_are_named(tasks: list[TaskTensors]) -> None:
    task = tasks[1]
    with pytest.raises(DassError, match="split1: codes has shape"):
        replace(task, codes=task.codes[1:])
    with pytest.raises(DassError, match="split1: accuracies holds NaN"):
        replace(task, accuracies=task.accuracies * torch.nan)
    with pytest.raises(DassError, match="split1: student_embeddings"):
        replace(task, student_embeddings=task.student_embeddings * torch.inf)
    with pytest.raises(DassError, match="teacher_accuracy is nan"):
        replace(task, teacher_accuracy=float("nan"))


def test_scale_goes_there_and_back() -> None:
    accuracies = torch.tensor([10.0, 20.0, 60.0], dtype=torch.float64)
    scale = TargetScale.of(accuracies)
    targets = scale.to_target(accuracies)
    assert targets.dtype == torch.float32
    assert targets.mean().item() == pytest.approx(0, abs=1e-6)
    assert targets.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(scale.to_percent(targets), accuracies, rtol=1e-6, atol=1e-5)
    assert TargetScale.of(torch.full((3,), 7.0)) == TargetScale(7.0, 1.0)
