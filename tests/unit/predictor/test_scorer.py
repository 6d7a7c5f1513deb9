"""Adapting to a teacher and scoring candidates."""

import numpy as np
import pytest
import torch

from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor import scorer
from dass.predictor.model import Batch, DassPredictor
from dass.predictor.scorer import MetaPredictor, score_candidates
from dass.predictor.tasks import TargetScale, TaskTensors, build_task
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace


def make_predictor(space: SearchSpace, inner_steps: int = 1) -> MetaPredictor:
    model = DassPredictor(10, space.code_length, seed=4)
    rates = {name: torch.full_like(w, 0.02) for name, w in model.layers.items()}
    return MetaPredictor(model, rates, inner_steps, TargetScale(40.0, 8.0))


def test_the_guide_brings_the_teachers_own_prediction_nearer(space: SearchSpace, tasks: list[TaskTensors]) -> None:
    task, predictor = tasks[0], make_predictor(space)
    errors = []
    for steps in (0, 1, 2, 5):
        adapted = predictor.adapt(task.teacher_embedding, task.teacher_code, task.teacher_accuracy, steps=steps)
        own = adapted.predict(task.teacher_embedding[None], task.teacher_code[None])
        errors.append(abs(own.item() - task.teacher_accuracy))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * errors[0]


def test_no_step_predicts_as_the_start_does(space: SearchSpace, tasks: list[TaskTensors]) -> None:
    task, predictor = tasks[0], make_predictor(space, inner_steps=0)
    adapted = predictor.adapt(task.teacher_embedding, task.teacher_code, task.teacher_accuracy)
    batch = Batch(
        predictor.predictor.patches(task.teacher_embedding)[None],
        predictor.predictor.patches(task.student_embeddings)[None],
        task.codes[None],
        torch.empty(0),
    )
    expected = predictor.scale.to_percent(predictor.predictor(batch)[0].detach())
    found = adapted.predict(task.student_embeddings, task.codes)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)


def test_adapting_to_students_uses_their_accuracies(space: SearchSpace, tasks: list[TaskTensors]) -> None:
    task, predictor = tasks[0], make_predictor(space)

    def mean_prediction(accuracies: torch.Tensor) -> float:
        adapted = predictor.adapt_to_students(
            task.teacher_embedding, task.student_embeddings[:3], task.codes[:3], accuracies, steps=3
        )
        return float(adapted.predict(task.student_embeddings, task.codes).mean())

    assert mean_prediction(torch.full((3,), 90.0)) > mean_prediction(torch.full((3,), 10.0)) + 5


def test_scores_equal_predictions_of_embeddings_held_at_once(
    space: SearchSpace, noise: torch.Tensor, teacher: ElasticResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer, "ROWS", 7)
    architectures = space.sample(40, np.random.default_rng(1))
    task = build_task(
        "t", teacher, 60.0, space, noise, architectures=architectures, accuracies=[0.0] * len(architectures)
    )
    adapted = make_predictor(space).adapt(task.teacher_embedding, task.teacher_code, task.teacher_accuracy)
    calls: list[tuple[int, int]] = []
    scores = score_candidates(
        adapted, teacher, architectures, space, noise, progress=lambda done, total: calls.append((done, total))
    )
    np.testing.assert_allclose(scores, adapted.predict(task.student_embeddings, task.codes).numpy(), rtol=1e-5)
    assert calls[-1] == (40, 40)
    low = score_candidates(adapted, teacher, architectures, space, noise, dtype=torch.bfloat16)
    assert np.corrcoef(scores, low)[0, 1] > 0.99


def test_candidates_outside_the_space_are_refused(
    space: SearchSpace, noise: torch.Tensor, teacher: ElasticResNet, tasks: list[TaskTensors]
) -> None:
    task = tasks[0]
    adapted = make_predictor(space).adapt(task.teacher_embedding, task.teacher_code, task.teacher_accuracy)
    larger = Architecture(((8,), (6,), (8,), (10,)))
    with pytest.raises(UsageError, match="full width"):
        score_candidates(adapted, teacher, [larger], space, noise)
