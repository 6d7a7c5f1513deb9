"""What a stage computes on: device, worker processes and threads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dass.errors import UsageError

if TYPE_CHECKING:
    import torch

    from dass.training.workers import Workers


def device() -> "torch.device":
    """`DASS_DEVICE` (auto, cpu, cuda, cuda:N), by default a GPU where there is one."""
    from dass.device import resolve_device

    return resolve_device(os.environ.get("DASS_DEVICE", "auto"))


def workers(on: "torch.device") -> "Workers":
    """As many worker processes as `worker_count` says, with a thread each."""
    from dass.training.workers import Workers

    return Workers(worker_count(on), threads=1)


def worker_count(on: "torch.device") -> int:
    """What `DASS_WORKERS` says: by default one process per core, or one on a GPU.

    Raises:
        UsageError: the variable is not a number from 1 to 256.
    """
    from dass.training.workers import usual_count

    text = os.environ.get("DASS_WORKERS", str(usual_count(on)))
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise UsageError(f"DASS_WORKERS={text!r}: give a number of processes from 1 to 256")
    return int(text)


@contextmanager
def one_thread() -> Iterator[None]:
    """Trains as a worker process does, with one torch thread on a CPU.

    A second one gains small networks little, loses much where cores are shared, and changes the last bits of results.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
