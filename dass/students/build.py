"""Distils many students over worker processes and gives their records as they finish."""

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby

import torch
from torch import Tensor

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.device import device_name
from dass.errors import DassError
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import check_fits
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.students.plan import StudentJob
from dass.students.record import StudentRecord, TaskKey
from dass.students.task_key import task_key
from dass.training.loop import Progress
from dass.training.recipes import StudentResult, distill
from dass.training.soft_labels import SoftLabels, epoch_soft_labels, fits
from dass.training.workers import Pool


def build_students(
    teacher: ElasticResNet,
    load: Callable[[], TaskData],
    jobs: Sequence[StudentJob],
    recipe: DistillationRecipe,
    *,
    workers: Pool,
    device: torch.device,
    group: int = 1,
    progress: Progress | None = None,
) -> Iterator[list[StudentRecord]]:
    """Distils students and yields their records, a group at a time, in the order in which they finish.

    First the teacher's logits are computed for the whole schedule, once for all students of a seed; then the
    students are trained, the largest first. A student's result is the same bits however many workers there are and
    whatever its group, as long as workers have the same number of threads.

    Args:
        teacher: network of the teacher, on the CPU.
        load: gives the task's data; called here and in the workers, so it must pickle (a `functools.partial`).
        jobs: students to distil.
        recipe: recipe of the distillation.
        workers: worker processes that compute.
        device: device of the workers.
        group: students of one seed trained side by side by one worker. On a CPU more than 1 gains nothing, and a kill
            loses the whole group.
        progress: called with students done and in all.

    Raises:
        UsageError: an architecture does not fit the teacher, or there are fewer training images than one batch.
        DassError: at the end, if workers died: the students that were lost with them; all others were yielded.
    """
    for job in jobs:
        check_fits(job.architecture, teacher.architecture)
    data = load()
    key = task_key(data, teacher, recipe, device)
    seeds = sorted({job.seed for job in jobs})
    soft_labels = {
        seed: _soft_labels(teacher, load, data, recipe, seed=seed, workers=workers, device=device) for seed in seeds
    }
    groups = _groups(jobs, group, data)
    arguments = [
        (teacher, [job.architecture for job in members], members[0].seed, soft_labels[members[0].seed])
        for members in groups
    ]
    work = partial(_distill_group, load=load, recipe=recipe, key=key, device=device)
    done = 0
    lost: list[str] = []
    for outcome in workers.run(work, arguments):
        if outcome.died:
            lost += [f"{job.architecture.arch_id} (worker {outcome.died})" for job in groups[outcome.index]]
            continue
        yield outcome.value
        done += len(outcome.value)
        if progress:
            progress(done, len(jobs))
    if lost:
        raise DassError(
            f"{len(lost)} of {len(jobs)} students of {data.name} were lost, first {lost[0]}; the others are kept: run "
            "the same command again, with fewer workers if memory is short"
        )


def _soft_labels(
    teacher: ElasticResNet,
    load: Callable[[], TaskData],
    data: TaskData,
    recipe: DistillationRecipe,
    *,
    seed: int,
    workers: Pool,
    device: torch.device,
) -> SoftLabels | None:
    """The schedule's teacher logits, an epoch per job; None where they are too large to be kept."""
    if not fits(data, recipe):
        return None
    work = partial(_epoch_soft_labels, load=load, recipe=recipe, device=device)
    outcomes = list(workers.run(work, [(teacher, seed, epoch) for epoch in range(recipe.epochs)]))
    if died := [outcome.died for outcome in outcomes if outcome.died]:
        raise DassError(f"a worker {died[0]} while the teacher of {data.name} looked at its images: run it again")
    return SoftLabels(tuple(outcome.value for outcome in sorted(outcomes, key=lambda outcome: outcome.index)))


def _groups(jobs: Sequence[StudentJob], size: int, data: TaskData) -> list[list[StudentJob]]:
    """Groups of one seed and of like cost, the most costly first, so that workers end at about the same time."""

    def macs(job: StudentJob) -> int:
        return cost(job.architecture, data.resolution, len(data.classes)).macs

    ordered = sorted(jobs, key=lambda job: (job.seed, -macs(job)))
    groups = []
    for _, members in groupby(ordered, key=lambda job: job.seed):
        same_seed = list(members)
        groups += [same_seed[start : start + size] for start in range(0, len(same_seed), size)]
    return sorted(groups, key=lambda group: -macs(group[0]))


def _epoch_soft_labels(
    teacher: ElasticResNet,
    seed: int,
    epoch: int,
    *,
    load: Callable[[], TaskData],
    recipe: DistillationRecipe,
    device: torch.device,
) -> Tensor:
    """A job: the teacher's logits for one epoch."""
    return epoch_soft_labels(teacher, load(), recipe, seed=seed, epoch=epoch, device=device)


def _distill_group(
    teacher: ElasticResNet,
    architectures: list[Architecture],
    seed: int,
    soft_labels: SoftLabels | None,
    *,
    load: Callable[[], TaskData],
    recipe: DistillationRecipe,
    key: TaskKey,
    device: torch.device,
) -> list[StudentRecord]:
    """A job: the records of one group; if memory does not suffice, each student is tried again, alone.

    Alone is as small as it gets: a smaller batch would be another recipe.
    """
    data = load()
    work = partial(distill, teacher, data=data, recipe=recipe, seed=seed, device=device, teacher_logits=soft_labels)
    results, shortage = _within_memory(work, architectures)
    if not shortage:
        return [student_record(result, key, data, device) for result in results]
    records = []
    for architecture in architectures:
        results, shortage = _within_memory(work, [architecture])
        records += [student_record(result, key, data, device) for result in results]
        if shortage:
            records.append(_record(architecture, seed, key, data, device, failure=f"out of memory: {shortage}"))
    return records


def _within_memory(
    work: Callable[[list[Architecture]], list[StudentResult]], architectures: list[Architecture]
) -> tuple[list[StudentResult], str]:
    """Results, and nothing; or none, and what was said of the want of memory, with all that was held freed."""
    try:
        return work(architectures), ""
    except (MemoryError, RuntimeError) as error:
        message = " ".join(str(error).split())
        if not (isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in message):
            raise
    # Only here, past the exception and what its frames held, can memory be freed.
    gc.collect()
    torch.cuda.empty_cache()
    return [], message[:200] or "no more was given"


def student_record(result: StudentResult, key: TaskKey, data: TaskData, device: torch.device) -> StudentRecord:
    """What is filed of a student.

    Args:
        result: result of the distillation.
        key: what it is filed under, see `task_key`.
        data: images and labels of the student's task.
        device: device of the training, such as `cpu`.
    """
    return replace(
        _record(result.architecture, result.seed, key, data, device, failure=result.failure),
        init_accuracy=result.init_accuracy,
        best_accuracy=result.best_accuracy,
        final_accuracy=result.final_accuracy,
        final_loss=result.final_loss,
        kd_loss_at_start=result.kd_loss_at_start,
        seconds=result.seconds,
    )


def _record(
    architecture: Architecture, seed: int, key: TaskKey, data: TaskData, device: torch.device, *, failure: str
) -> StudentRecord:
    """The record of a student of which nothing was measured."""
    price = cost(architecture, data.resolution, len(data.classes))
    return StudentRecord(
        task=key.task,
        arch_id=architecture.arch_id,
        architecture=architecture,
        seed=seed,
        recipe_id=key.recipe_id,
        teacher_id=key.teacher_id,
        data_id=key.data_id,
        init_accuracy=math.nan,
        best_accuracy=math.nan,
        final_accuracy=math.nan,
        final_loss=math.nan,
        kd_loss_at_start=math.nan,
        macs=price.macs,
        params=price.parameters,
        seconds=0.0,
        device=device_name(device),
        torch_version=str(torch.__version__),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        failure=failure,
    )
