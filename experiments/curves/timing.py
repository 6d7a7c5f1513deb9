"""How long the parts of a search take, measured in a worker: where students are distilled."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from dass.datasets.augment import normalize
from dass.networks.remapping import remap
from dass.predictor.embeddings import embed, fixed_noise
from dass.proxies.k_step import evaluate_held_out
from dass.proxies.one_batch import one_batch_rows
from dass.space.cost import cost
from dass.training.batches import PRECISIONS, Batch, epoch_batches
from dass.training.evaluation import forward
from dass.training.losses import distillation_loss
from dass.training.member import Member
from experiments.curves.setting import pool
from experiments.curves.table import Clock
from experiments.curves.tasks import CPU, SEED, Study, opened

STUDENTS, STEPS, ROUNDS = 6, 30, 3


def measure(study: Study) -> tuple[Clock, list[float], list[float]]:
    """The clock, and of each student its multiply-accumulates and the seconds of its step."""
    task = study.setting.targets[0]
    teacher, fit, test = opened(study, task)
    recipe = study.setting.recipe(study.params.distillation, len(fit.train_labels))
    held_out = Batch(normalize(fit.test_images, PRECISIONS["float32"]), fit.test_labels)
    members = pool(study.setting, task, study.space(task), test.resolution, len(test.classes))[:STUDENTS]
    batches = list(epoch_batches(fit, recipe, SEED, 0, "float32"))[:STEPS]
    with torch.no_grad():
        soft = [forward(teacher, batch.images, "float32") for batch in batches]
        teacher_step = _seconds(lambda: [forward(teacher, batch.images, "float32") for batch in batches]) / STEPS

    def loss(logits: torch.Tensor, labels: torch.Tensor, logits_of_teacher: torch.Tensor | None) -> torch.Tensor:
        assert logits_of_teacher is not None
        return distillation_loss(logits, labels, logits_of_teacher, recipe.alpha, recipe.temperature)

    sizes, steps, looks = [], [], []
    for architecture in members:
        member = Member(remap(teacher, architecture), recipe, CPU)

        def train(member: Member = member) -> None:
            for batch, logits in zip(batches, soft, strict=True):
                member.step(batch, logits, loss, recipe.learning_rate, "float32")

        def see(member: Member = member) -> None:
            evaluate_held_out(member.network, held_out, "float32")

        sizes.append(float(cost(architecture, test.resolution, len(test.classes)).macs))
        steps.append(_seconds(train) / STEPS)
        looks.append(_seconds(see))
    per_mac, fixed = np.polyfit(sizes, steps, 1)
    noise = fixed_noise(test.resolution, SEED)
    many = study.space(task).sample(64, np.random.default_rng(SEED))

    def one_batch() -> None:
        one_batch_rows(teacher, many, fit, alpha=recipe.alpha, temperature=recipe.temperature, precision="float32")

    clock = Clock(
        fixed=max(0.0, float(fixed)),
        per_mac=float(per_mac),
        teacher_step=teacher_step,
        look=float(np.sum(looks) / np.sum(sizes)),
        embedding=_seconds(lambda: list(embed(teacher, many, noise))) / len(many),
        one_batch=_seconds(one_batch) / len(many),
    )
    return clock, sizes, steps


def _seconds(work: Callable[[], object]) -> float:
    """The median time of a few rounds, after one that is not counted."""
    work()
    times = []
    for _ in range(ROUNDS):
        since = time.perf_counter()
        work()
        times.append(time.perf_counter() - since)
    return median(times)
