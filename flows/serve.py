"""Both web pages and a worker for the deployments of prefect.yaml: `make serve`, stopped with Ctrl-C."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.workers.process import ProcessWorker

from dass.errors import DassError
from dass.tracking.runs import PAGES
from flows.server import prefect_server, run_group, when_stopped
from flows.stage import exit_with_line
from flows.ui import mlflow_pages

POOL = "dass"


def main() -> None:
    """Starts what is not yet running, prints the addresses, and works until it is told to stop."""
    root = Path.cwd()
    when_stopped(lambda _: sys.exit(0))
    with exit_with_line(), prefect_server(root) as api, mlflow_pages(root) as pages:
        environment = {**os.environ, "PREFECT_API_URL": api, PAGES: os.environ.get(PAGES) or pages}
        create_pool(api)
        deploy(root, environment)
        print(f"Prefect  {api.removesuffix('/api')}/deployments\nMLflow   {environment[PAGES]}", flush=True)
        print("Start runs from the first page; Ctrl-C stops them and what was started here.", flush=True)
        run_group(_prefect("worker", "start", "--pool", POOL, "--type", "process"), environment)


def create_pool(api: str) -> None:
    """Makes the work pool of prefect.yaml, unless it is there: its runs are processes on the worker's machine."""
    pool = WorkPoolCreate(
        name=POOL, type=ProcessWorker.type, base_job_template=ProcessWorker.get_default_base_job_template()
    )
    with (
        temporary_settings({PREFECT_API_URL: api}),
        get_client(sync_client=True) as client,
        suppress(ObjectAlreadyExists),
    ):
        client.create_work_pool(pool)


def deploy(root: Path, environment: Mapping[str, str]) -> None:
    """Sends the deployments of prefect.yaml to the server.

    Raises:
        DassError: it does not take them.
    """
    done = subprocess.run(
        _prefect("--no-prompt", "deploy", "--all"), cwd=root, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise DassError(f"prefect.yaml was not taken: {' '.join((done.stdout + done.stderr)[-1500:].split())}")


def _prefect(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments]


if __name__ == "__main__":
    main()
