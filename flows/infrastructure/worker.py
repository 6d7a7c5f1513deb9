"""The worker of `make serve`, and the work pool that it takes runs from.

A run may not say what is executed: the pool's template knows no variables, neither command nor environment nor
folder, and the server refuses a run that gives any.
"""

import runpy
import sys
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.workers.process import ProcessWorker

from dass.project import let_threads_sleep
from flows.infrastructure.processes import end_with_parent

POOL = "dass"
TEMPLATE: dict[str, Any] = {
    "job_configuration": {"stream_output": True},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}


def main() -> None:
    """Works until it is told to stop, or the process that started it, whose number is the argument, is gone."""
    end_with_parent(int(sys.argv[1]))
    let_threads_sleep()  # those of the runs, which inherit this process's variables
    sys.argv = ["prefect", "worker", "start", "--pool", POOL, "--type", ProcessWorker.type]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


def create_pool(api: str) -> None:
    """Makes the work pool of prefect.yaml, or puts the one that is there right: runs are processes on this machine."""
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=POOL, type=ProcessWorker.type, base_job_template=TEMPLATE))
        except ObjectAlreadyExists:
            client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=TEMPLATE))


if __name__ == "__main__":
    main()
