"""Slots that runs take in turns: the one writer of DVC's files, and the GPUs of a machine.

They are Prefect's global concurrency limits, so they hold for all runs under one server, and its pages show who
waits. A killed run's slot comes free by itself within five minutes; `python -m flows.run slots` frees all at once.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists

from flows.infrastructure.exits import exit_with_line

DVC = "dvc"
GPU = "gpu-"


@contextmanager
def dvc_slot() -> Iterator[None]:
    """Waits until no other run writes what DVC tracks; DVC's own lock guards against `dvc` in a terminal."""
    with _slot(DVC, 1):
        yield


@contextmanager
def gpu_slot(device: torch.device) -> Iterator[None]:
    """Waits for the one slot of a GPU of this machine; on a CPU there is nothing to wait for.

    Each GPU has a limit of its own, whose page may allow more, where several runs fit on it.
    """
    if device.type != "cuda":
        yield
        return
    with _slot(gpu_limit(device), 1):
        yield


def gpu_limit(device: torch.device) -> str:
    """Name of the limit of one of this machine's GPUs."""
    return f"{GPU}{socket.gethostname()}-{device.index or 0}"


def free_slots() -> list[str]:
    """Frees every slot that is taken, whoever holds it, and gives the names of their limits.

    A limit is made anew rather than set to zero, so that what a dead run's lease does when it ends later reaches
    nothing.
    """
    freed = []
    with get_client(sync_client=True) as client:
        for limit in client.read_global_concurrency_limits(limit=200):
            if limit.active_slots and (limit.name == DVC or limit.name.startswith(GPU)):
                client.delete_global_concurrency_limit_by_name(limit.name)
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=limit.name, limit=limit.limit))
                freed.append(limit.name)
    return freed


@contextmanager
def _slot(name: str, slots: int) -> Iterator[None]:
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=slots))
    # Work goes on when the server is gone for a while: the slot may then be given away, which is the lesser harm.
    with concurrency(name, strict=True, raise_on_lease_renewal_failure=False):
        yield


def main() -> None:
    """Frees all slots and says which they were."""
    with exit_with_line():
        print(f"freed: {', '.join(free_slots()) or 'nothing was taken'}")


if __name__ == "__main__":
    main()
