"""Gathers proxies of students of one task: in worker processes, each measurement once."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dass.config import DistillationRecipe
from dass.datasets.packed import as_tensor
from dass.datasets.task_data import TaskData
from dass.device import resolve_precision
from dass.errors import DassError
from dass.files import content_id
from dass.networks.checkpoint import weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.proxies import k_step, noise, one_batch, size
from dass.proxies.recipe_facts import recipe_facts
from dass.proxies.store import ProxyStore, Row
from dass.proxies.table import Column, ProxyTable
from dass.scratch import scratch_folder
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask
from dass.training.workers import Workers

VERSION = 2  # raised by hand when a change of this package changes what is measured
JOBS = 32  # for so many jobs there should be students, that no worker waits for another for long
CHUNK = (16, 64)  # students of a job on one batch: enough to share what is common, few enough to lose little

Load = Callable[[], TaskData]
Job = Callable[[Sequence[Architecture]], NDArray[np.float64]]
Progress = Callable[[int, int], None]


class Collector:
    """Proxies of students of one task; what was measured before is taken from the store.

    Args:
        teacher: the trained network, on the CPU.
        data: the task. Workers are given its training images alone, so no measurement can see the test part.
        noise_image: the fixed input, float32 [1, 3, r, r].
        recipe: recipe of the distillation to be predicted.
        workers: worker processes that run the costly measurements.
        store: store that keeps the measurements.
        device: on which device of the workers.
        seed: random seed of batches.
    """

    def __init__(
        self,
        teacher: ElasticResNet,
        data: TaskData,
        noise_image: Tensor,
        recipe: DistillationRecipe,
        *,
        workers: Workers,
        store: ProxyStore,
        device: torch.device,
        seed: int = 0,
    ) -> None:
        self._teacher = teacher
        self._data = data
        self._noise = noise_image
        self._recipe = recipe
        self._workers = workers
        self._store = store
        self._device = device
        self._seed = seed

    @classmethod
    def of(
        cls,
        task: RankingTask,
        recipe: DistillationRecipe,
        *,
        workers: Workers,
        store: ProxyStore,
        device: torch.device,
        seed: int,
    ) -> "Collector":
        """For a task whose teacher may be on a GPU and stays there; arguments as of the class."""
        teacher = copy.deepcopy(task.teacher).cpu()
        return cls(teacher, task.data, task.noise, recipe, workers=workers, store=store, device=device, seed=seed)

    def size(self, architectures: Sequence[Architecture]) -> ProxyTable:
        """Size and shape, see `dass.proxies.size`."""
        started = time.perf_counter()
        full = [stage[-1] for stage in self._teacher.architecture.widths]
        rows = size.size_rows(self._with_teacher(architectures), self._data.resolution, len(self._data.classes), full)
        return ProxyTable(
            size.columns(len(full)), rows[:-1], rows[-1], _each(time.perf_counter() - started, architectures)
        )

    def noise(self, architectures: Sequence[Architecture]) -> ProxyTable:
        """The response to noise, see `dass.proxies.noise`; too cheap to be stored."""
        started = time.perf_counter()
        rows = noise.noise_rows(self._teacher, self._with_teacher(architectures), self._noise)
        return ProxyTable(noise.COLUMNS, rows[:-1], rows[-1], _each(time.perf_counter() - started, architectures))

    def one_batch(self, architectures: Sequence[Architecture], progress: Progress | None = None) -> ProxyTable:
        """The remapped start on one batch, see `dass.proxies.one_batch`.

        Raises:
            DassError: workers died; all that the others measured is stored.
        """

        def prepare(load: Load) -> Job:
            return partial(
                one_batch.one_batch_job, teacher=self._teacher, load=load, recipe=self._recipe, seed=self._seed,
                device=self._device,
            )  # fmt: skip

        kind = ("recalibrated", one_batch.IMAGES)
        columns = one_batch.columns(self._teacher.architecture.family.stages)
        return self._measured(architectures, columns, kind, prepare, CHUNK, progress)

    def k_step(self, architectures: Sequence[Architecture], steps: int, progress: Progress | None = None) -> ProxyTable:
        """The first steps of distillation, see `dass.proxies.k_step`.

        Args:
            architectures: architectures of the students.
            steps: how many; the longer training of a student in the store serves too.
            progress: called with students done and in all.

        Raises:
            DassError: workers died; all that the others measured is stored.
        """

        def prepare(load: Load) -> Job:
            given = partial(
                k_step.k_step_job, teacher=self._teacher, load=load, recipe=self._recipe, seed=self._seed,
                device=self._device,
            )  # fmt: skip
            return partial(given, soft_labels=self._soft_labels(load, steps))

        columns = k_step.columns(steps)

        def share(count: int) -> float:
            return k_step.steps_of(len(columns)) / k_step.steps_of(count)

        return self._measured(architectures, columns, ("sprint", k_step.HELD_OUT), prepare, (1, 1), progress, share)

    def _soft_labels(self, load: Load, steps: int) -> Tensor:
        work = partial(
            k_step.soft_labels_job, teacher=self._teacher, load=load, recipe=self._recipe, steps=steps,
            seed=self._seed, device=self._device,
        )  # fmt: skip
        [outcome] = self._workers.run(work, [()])
        if outcome.died:
            raise DassError(f"a worker {outcome.died} while the teacher of {self._data.name} looked at its images")
        labels: Tensor = outcome.value
        return labels

    def _measured(
        self,
        architectures: Sequence[Architecture],
        columns: tuple[Column, ...],
        kind: tuple[str, int],
        prepare: Callable[[Load], Job],
        sizes: tuple[int, int],
        progress: Progress | None,
        share: Callable[[int], float] = lambda _: 1.0,
    ) -> ProxyTable:
        """Rows from the store, and those that it lacks from the workers; stored as they come.

        A job has from `sizes[0]` to `sizes[1]` of them. `share` says how much of what a row of so many columns took
        counts, since it may have more than are wanted.
        """
        members, key = self._with_teacher(architectures), self._key(*kind)
        found = {name: row for name, row in self._store.read(key).items() if len(row.values) >= len(columns)}
        # In order of widths, so that students with common beginnings come together.
        missing = sorted({one for one in members if one.arch_id not in found}, key=lambda one: one.widths)
        least, most = sizes
        size = min(most, max(least, len(missing) // JOBS))
        chunks = [missing[start : start + size] for start in range(0, len(missing), size)]
        lost: list[str] = []
        if chunks:
            done, since = 0, time.perf_counter()
            with _training_part(self._data) as load:
                for outcome in self._workers.run(prepare(load), [(part,) for part in chunks]):
                    part = chunks[outcome.index]
                    if outcome.died:
                        lost += [f"{one.arch_id} (worker {outcome.died})" for one in part]
                        continue
                    # Workers run side by side: from one outcome to the next adds up to the wall time of all.
                    now = time.perf_counter()
                    seconds, since = (now - since) / len(part), now
                    rows = {one.arch_id: Row(values, seconds) for one, values in zip(part, outcome.value, strict=True)}
                    self._store.add(key, rows)
                    found |= rows
                    done += len(part)
                    if progress:
                        progress(done, len(missing))
        if lost:
            again = "goes on from what was measured" if self._store.keeps else "measures all of them again"
            raise DassError(
                f"{len(lost)} of {len(missing)} architectures of {self._data.name} were lost while {kind[0]!r} was "
                f"measured, first {lost[0]}: the same command {again}; give it fewer workers if memory is short"
            )
        measured = [found[one.arch_id] for one in members]
        table = np.array([row.values[: len(columns)] for row in measured])
        seconds = sum(row.seconds * share(len(row.values)) for row in measured)
        return ProxyTable(columns, table[:-1], table[-1], _each(seconds, architectures))

    def _with_teacher(self, architectures: Sequence[Architecture]) -> list[Architecture]:
        return [*architectures, self._teacher.architecture]

    def _key(self, kind: str, images: int) -> str:
        """Names all that a measurement depends on, but the architecture and how long the training is."""
        recipe = recipe_facts(self._recipe)
        precision = resolve_precision(self._recipe.precision, self._device)
        known = [VERSION, kind, images, recipe, precision, self._seed, self._data.data_id, weights_id(self._teacher)]
        return f"{self._data.name}-{kind}-{content_id(known)}"


def _each(seconds: float, architectures: Sequence[Architecture]) -> float:
    return seconds / max(1, len(architectures))


@contextmanager
def _training_part(data: TaskData) -> Iterator[Load]:
    """The training images in a file for as long as workers need them; the test part is not among what they get."""
    with scratch_folder() as folder:
        path = folder / "train_images.npy"
        np.save(path, data.train_images.permute(0, 2, 3, 1).cpu().numpy())
        yield partial(_load, path, data.train_labels.cpu().numpy(), data.name, data.classes, data.data_id)


def _load(path: Path, labels: NDArray[np.int64], name: str, classes: tuple[str, ...], data_id: str) -> TaskData:
    images = as_tensor(np.load(path, mmap_mode="c"))
    nothing = torch.empty(0, dtype=torch.int64)
    return TaskData(name, classes, images, torch.from_numpy(labels), images[:0], nothing, data_id)
