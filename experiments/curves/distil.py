"""Distils one student and reads it along the way."""

import json
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from dass.config import DistillationRecipe, recipe_id
from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.device import deterministic, device_name, resolve_precision
from dass.networks.checkpoint import weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.proxies.k_step import evaluate_held_out
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.training.batches import PRECISIONS, Batch, epoch_batches, steps_per_epoch
from dass.training.evaluation import Evaluation, evaluate
from dass.training.loop import TeacherLogits, learning_rate
from dass.training.losses import distillation_loss
from dass.training.member import Member
from experiments.curves.record import CurveRecord, Reading
from experiments.curves.setting import READINGS

QUARTERS = 4


@dataclass(frozen=True)
class Curve:
    """How a network did while it was distilled, and in the end.

    Attributes:
        steps: in all.
        readings: of the held-out images, in order; the last is at the end.
        validation: on the held-out images at the end, in eval mode.
        tests: on the test images after each quarter of the training; nothing may choose by them.
        cpu_seconds: processor time of the steps.
        precision: of convolutions.
    """

    steps: int
    readings: tuple[Reading, ...]
    validation: Evaluation
    tests: tuple[Evaluation, ...]
    cpu_seconds: float
    precision: str


def distil_curve(
    teacher: ElasticResNet,
    architecture: Architecture,
    fit: TaskData,
    test: TaskData,
    recipe: DistillationRecipe,
    *,
    soft_labels: TeacherLogits,
    seed: int,
) -> CurveRecord:
    """Distils a student from its remapped start by the recipe's whole schedule.

    Args:
        teacher: in eval mode.
        architecture: the student.
        fit: the images to train on; its test part is the held-out images that may choose.
        test: the task, whose test images choose nothing.
        recipe: for as many images as `fit` has.
        soft_labels: the teacher's logits for the batches of `fit`.
        seed: of batch order and augmentation.
    """
    curve = distil_network(remap(teacher, architecture), fit, test, recipe, soft_labels=soft_labels, seed=seed)
    price = cost(architecture, test.resolution, len(test.classes))
    return CurveRecord(
        task=test.name,
        arch_id=architecture.arch_id,
        architecture=json.dumps(architecture.to_json(), separators=(",", ":")),
        seed=seed,
        alpha=recipe.alpha,
        teacher_id=weights_id(teacher),
        data_id=fit.data_id,
        recipe_id=recipe_id(recipe, curve.precision),
        steps=curve.steps,
        macs=price.macs,
        params=price.parameters,
        readings=curve.readings,
        validation_accuracy=curve.validation.accuracy,
        validation_loss=curve.validation.loss,
        test_accuracies=tuple(point.accuracy for point in curve.tests),
        test_loss=curve.tests[-1].loss,
        cpu_seconds=curve.cpu_seconds,
        device=device_name(teacher.device),
        torch_version=str(torch.__version__),
    )


@deterministic()
def distil_network(
    student: ElasticResNet,
    fit: TaskData,
    test: TaskData,
    recipe: DistillationRecipe,
    *,
    soft_labels: TeacherLogits,
    seed: int,
) -> Curve:
    """Distils a network by the recipe's whole schedule; it is changed.

    Args:
        student: with the weights from which it starts.
        fit: as in `distil_curve`.
        test: likewise.
        recipe: likewise.
        soft_labels: likewise.
        seed: likewise.
    """
    device = student.device
    precision = resolve_precision(recipe.precision, device)
    held_out = Batch(normalize(fit.test_images, PRECISIONS[precision]), fit.test_labels)
    member = Member(student, recipe, device)
    steps = steps_per_epoch(fit, recipe)
    total = steps * recipe.epochs
    quarters = [round(total * (index + 1) / QUARTERS) for index in range(QUARTERS)]
    readings: list[Reading] = []
    tests: list[Evaluation] = []
    losses: list[Tensor] = []
    seconds = 0.0

    def loss(logits: Tensor, labels: Tensor, soft: Tensor | None) -> Tensor:
        assert soft is not None  # each batch has its own
        return distillation_loss(logits, labels, soft, recipe.alpha, recipe.temperature)

    for epoch in range(recipe.epochs):
        for step, batch in enumerate(epoch_batches(fit, recipe, seed, epoch, precision)):
            since = time.process_time()
            soft = soft_labels(epoch, step, batch.images)
            rate = learning_rate(recipe, epoch * steps + step, steps, 0)
            losses.append(member.step(batch, soft, loss, rate, precision))
            seconds += time.process_time() - since
            done = len(losses)
            if done in READINGS or done == total:
                tail = float(torch.stack(losses[done // 2 :]).mean())
                accuracy, cross_entropy = evaluate_held_out(student, held_out, precision)
                readings.append(Reading(done, tail, 100 * accuracy, cross_entropy))
            if done in quarters:
                student.eval()
                tests.append(evaluate(student, test.test_images, test.test_labels, precision))
                student.train()
    student.eval()
    validation = evaluate(student, fit.test_images, fit.test_labels, precision)
    return Curve(total, tuple(readings), validation, tuple(tests), seconds, precision)
