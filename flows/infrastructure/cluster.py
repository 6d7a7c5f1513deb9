"""Students on a Dask cluster, through Prefect's own task runner; needs the extra `dask` (`pip install -e '.[dask]'`).

`DASS_DASK` is the address of the cluster's scheduler, `DASS_DASK_RESOURCES` what one job takes of a worker's resources
("GPU=0.5": two at once where workers were started with `--resources GPU=1`). The flow hands out jobs and is the only
one that writes; the project folder must be at the same path on all machines.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from dass.errors import DassError, UsageError
from dass.training.workers import Outcome

if TYPE_CHECKING:
    from distributed import Future

ADDRESS, RESOURCES = "DASS_DASK", "DASS_DASK_RESOURCES"
AHEAD = 2  # jobs handed out for each of the cluster's threads: none waits for the next, and the scheduler holds few


class Cluster:
    """The workers of a Dask cluster, used like `dass.training.workers.Workers`.

    A job whose worker dies is given to another one; what kills several is given up.

    Args:
        address: address of the Dask scheduler, such as tcp://10.0.0.1:8786.
        resources: amount that a job takes of each resource of a worker, by name; None for none.
    """

    def __init__(self, address: str, resources: dict[str, float] | None = None) -> None:
        if not find_spec("prefect_dask"):
            raise UsageError(f"{ADDRESS} needs prefect-dask: pip install -e '.[dask]' in the project folder")
        from prefect_dask import DaskTaskRunner

        self._address = address
        self._resources = resources
        self._runner = DaskTaskRunner(address=address)

    @classmethod
    def from_environment(cls) -> "Cluster | None":
        """What `DASS_DASK` names; None where it is not set.

        Raises:
            UsageError: prefect-dask is not installed, or the resources are not NAME=NUMBER, separated by commas.
        """
        address = os.environ.get(ADDRESS, "").strip()
        return cls(address, _resources(os.environ.get(RESOURCES, ""))) if address else None

    def __enter__(self) -> "Cluster":
        self._runner.__enter__()
        try:
            workers = self._runner.client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, ValueError) as error:
            self.__exit__(None, None, None)
            raise DassError(f"no Dask scheduler answers at {ADDRESS}={self._address}: start it or unset it") from error
        if not workers:
            self.__exit__(None, None, None)
            raise DassError(f"the Dask cluster at {self._address} has no workers: start some: dask worker ADDRESS")
        self._ahead = AHEAD * sum(worker["nthreads"] for worker in workers.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.__exit__(kind, error, trace)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """To others only its address: Prefect sends them the parameters of the task that submits, pools included."""
        return str, (self._address,)

    def run(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Iterator[Outcome]:
        """Runs jobs as `Workers.run` does, each as a task run of Prefect's.

        Raises:
            DassError: a job raised one; jobs not finished are given up.
        """
        import distributed

        waiting = list(enumerate(arguments))[::-1]
        running: dict[Future, int] = {}
        finished = distributed.as_completed(loop=self._runner.client.loop)
        try:
            while waiting or running:
                while waiting and len(running) < self._ahead:
                    index, values = waiting.pop()
                    future = self._submit(partial(function, *values))
                    running[future] = index
                    finished.add(future)
                future = next(finished)
                yield _outcome(running.pop(future), future)
        finally:
            self._runner.client.cancel(list(running))

    def _submit(self, work: Callable[[], Any]) -> "Future":
        # The runner's own `submit` knows nothing of resources; the client behind it does.
        return self._runner.client.submit(
            job, parameters={"work": work}, return_type="state", resources=self._resources, pure=False
        )


@task(cache_policy=NO_CACHE, name="a job on the cluster")
def job(work: Callable[[], Any]) -> Any:
    """Carry out one job with one torch thread, on whose number the last bits of results depend."""
    torch.set_num_threads(1)
    return work()


def _outcome(index: int, future: "Future") -> Outcome:
    """What a job came to; raises what it raised."""
    import distributed

    try:
        state = future.result()
    except distributed.scheduler.KilledWorker as error:
        return Outcome(index, None, f"died, and others after it: {' '.join(str(error).split()):.120}")
    return Outcome(index, state.result())


def _resources(text: str) -> dict[str, float] | None:
    """Reads "GPU=0.5,MEMORY=1"."""
    try:
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        return {name.strip(): float(number) for name, number in pairs} or None
    except ValueError as error:
        raise UsageError(f"{RESOURCES}={text!r}: give NAME=NUMBER, such as GPU=0.5") from error
