"""Gathers proxies of students of one task: in worker processes, each measurement once."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
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
from dass.proxies.proxy import Proxy, StoredProxy, Subject
from dass.proxies.recipe_facts import recipe_facts
from dass.proxies.store import ProxyStore, Row
from dass.proxies.table import Floats, ProxyTable
from dass.scratch import scratch_folder
from dass.space.architecture import Architecture
from dass.tasks.ranking import RankingTask
from dass.training.workers import Workers

VERSION = 2  # raised by hand when a change of this package changes what is measured
JOBS = 32  # for so many jobs there should be students, that no worker waits for another for long

Load = Callable[[], TaskData]
Progress = Callable[[int, int], None]


class Collector:
    """Proxies of students of one task; what was measured before is taken from the store.

    Args:
        teacher: the trained network, on the CPU.
        data: the task. Workers are given its training images alone, so no measurement can see the test part.
        noise_image: the fixed input, float32 [1, 3, r, r].
        recipe: recipe of the distillation to be predicted.
        workers: worker processes that run the costly measurements.
        store: store of measurements that were made before.
        device: device that workers measure on.
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
        self._data = data
        self._subject = Subject(teacher, lambda: data, noise_image, recipe, seed, device)
        self._workers = workers
        self._store = store

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

    def measure(
        self, proxy: Proxy, architectures: Sequence[Architecture], progress: Progress | None = None
    ) -> ProxyTable:
        """Measures students, and their teacher in the same way.

        Args:
            proxy: what to measure.
            architectures: architectures of the n students.
            progress: called with students done and in all, where worker processes measure.

        Raises:
            DassError: workers died; all that the others measured is stored.
        """
        teacher = self._subject.teacher.architecture
        members, columns = [*architectures, teacher], proxy.columns(teacher.family.stages)
        if isinstance(proxy, StoredProxy):
            rows = self._stored_rows(proxy, members, len(columns), progress)
            values = np.array([row.values[: len(columns)] for row in rows])
            seconds = sum(row.seconds * proxy.part(len(row.values)) for row in rows)
        else:
            started = time.perf_counter()
            values = proxy.rows(self._subject, members)
            seconds = time.perf_counter() - started
        return ProxyTable(columns, values[:-1], values[-1], seconds / max(1, len(architectures)))

    def _stored_rows(
        self, proxy: StoredProxy, members: Sequence[Architecture], columns: int, progress: Progress | None
    ) -> list[Row]:
        """Rows of at least so many columns from the store, and from the workers what it lacks, stored as it comes."""
        key = self._key(proxy)
        rows = {name: row for name, row in self._store.read(key).items() if len(row.values) >= columns}
        # In order of widths, so that students with common beginnings come together.
        missing = sorted({one for one in members if one.arch_id not in rows}, key=lambda one: one.widths)
        least, most = proxy.students_per_job
        size = min(most, max(least, len(missing) // JOBS))
        chunks = [missing[start : start + size] for start in range(0, len(missing), size)]
        lost: list[str] = []
        if chunks:
            done, since = 0, time.perf_counter()
            with _training_part(self._data) as load:
                subject = replace(self._subject, load=load)
                subject = replace(subject, shared=proxy.prepare(partial(self._in_worker, subject)))
                work = partial(_measure, proxy=proxy, subject=subject)
                for outcome in self._workers.run(work, [(part,) for part in chunks]):
                    part = chunks[outcome.index]
                    if outcome.died:
                        lost += [f"{one.arch_id} (worker {outcome.died})" for one in part]
                        continue
                    # Workers run side by side: from one outcome to the next adds up to the wall time of all.
                    now = time.perf_counter()
                    seconds, since = (now - since) / len(part), now
                    new = {one.arch_id: Row(values, seconds) for one, values in zip(part, outcome.value, strict=True)}
                    self._store.add(key, new)
                    rows |= new
                    done += len(part)
                    if progress:
                        progress(done, len(missing))
        if lost:
            again = "goes on from what was measured" if self._store.keeps else "measures all of them again"
            raise DassError(
                f"{len(lost)} of {len(missing)} architectures of {self._data.name} were lost while "
                f"{proxy.fidelity.key} was measured, first {lost[0]}: the same command {again}; give it fewer workers "
                "if memory is short"
            )
        return [rows[one.arch_id] for one in members]

    def _in_worker(self, subject: Subject, function: Callable[[Subject], Tensor]) -> Tensor:
        [outcome] = self._workers.run(partial(_call, function, subject), [()])
        if outcome.died:
            raise DassError(f"a worker {outcome.died} while the teacher of {self._data.name} looked at its images")
        tensor: Tensor = outcome.value
        return tensor

    def _key(self, proxy: StoredProxy) -> str:
        """Names all that a measurement depends on, but the architecture and how long the training is."""
        recipe, seed = self._subject.recipe, self._subject.seed
        precision = resolve_precision(recipe.precision, self._subject.device)
        ids = [self._data.data_id, weights_id(self._subject.teacher)]
        facts = [VERSION, proxy.name, proxy.images, recipe_facts(recipe), precision, seed, *ids]
        return f"{self._data.name}-{proxy.name}-{content_id(facts)}"


def _measure(architectures: Sequence[Architecture], *, proxy: Proxy, subject: Subject) -> Floats:
    """A job of a worker process: rows of some students."""
    return proxy.rows(_on_device(subject), architectures)


def _call(function: Callable[[Subject], Tensor], subject: Subject) -> Tensor:
    """A job of a worker process: what all students share."""
    return function(_on_device(subject))


def _on_device(subject: Subject) -> Subject:
    return replace(subject, teacher=subject.teacher.to(subject.device).to(memory_format=torch.channels_last).eval())


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
