"""Both web pages and a worker for the deployments of prefect.yaml: `make serve`, stopped with Ctrl-C."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from dass.errors import DassError
from dass.params_file import find_root
from dass.tracking.runs import PAGES
from flows.infrastructure.exits import exit_with_line, when_stopped
from flows.infrastructure.http_proxies import settle_proxies
from flows.infrastructure.lost_runs import HEARTBEATS, watch_for_silence
from flows.infrastructure.processes import run_group
from flows.infrastructure.server import prefect_server
from flows.infrastructure.worker import create_pool
from flows.ui import mlflow_pages


def main() -> None:
    """Starts what is not yet running, prints the addresses, and works until it is told to stop."""
    root = find_root()
    os.chdir(root)  # where prefect.toml is
    when_stopped(lambda _: sys.exit(0))
    with exit_with_line(), prefect_server(root) as api, mlflow_pages(root) as pages:
        settle_proxies(api)
        environment = {**HEARTBEATS, **os.environ, "PREFECT_API_URL": api, PAGES: os.environ.get(PAGES) or pages}
        create_pool(api)
        watch_for_silence(api)
        deploy(root, environment)
        print(f"Prefect  {api.removesuffix('/api')}/deployments\nMLflow   {environment[PAGES]}", flush=True)
        print("Start runs from the first page; Ctrl-C stops them and what was started here.", flush=True)
        run_group([sys.executable, "-m", "flows.infrastructure.worker", str(os.getpid())], environment)


def deploy(root: Path, environment: Mapping[str, str]) -> None:
    """Sends the deployments of prefect.yaml to the server of PREFECT_API_URL.

    Raises:
        DassError: it does not take them.
    """
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DassError(f"prefect.yaml was not taken: {' '.join((done.stdout + done.stderr)[-1500:].split())}")
    _close_forms(environment["PREFECT_API_URL"])


def _close_forms(api: str) -> None:
    """Has the server refuse arguments that no deployment has, before a run exists."""
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            schema = {**(deployment.parameter_openapi_schema or {}), "additionalProperties": False}
            body = {"parameter_openapi_schema": schema}
            client.request("PATCH", "/deployments/{id}", path_params={"id": deployment.id}, json=body)


if __name__ == "__main__":
    main()
