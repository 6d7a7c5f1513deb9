"""Both web pages on this machine: `python -m flows.ui`, stopped with Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dass.errors import DassError
from dass.tracking.store import open_store
from flows.server import HOST, answers, end_family, free_port, prefect_server, when_stopped
from flows.stage import exit_with_line

MLFLOW_PORT = 5000
START_SECONDS = 120


def main() -> None:
    """Starts what is not yet running, prints the addresses, waits."""
    root = Path.cwd()
    when_stopped(lambda _: sys.exit(0))
    with exit_with_line(), prefect_server(root) as api, mlflow_pages(root) as pages:
        print(f"Prefect  {api.removesuffix('/api')}\nMLflow   {pages}\nCtrl-C stops what was started.", flush=True)
        signal.pause()


@contextmanager
def mlflow_pages(root: Path) -> Iterator[str]:
    """Gives the address of MLflow's pages: those of a tracking server, else of one started for the project's store.

    Raises:
        DassError: the store cannot be opened, or the server does not answer in time.
    """
    store = open_store(root)
    if store.uri.startswith("http"):
        yield store.uri
        return
    port = free_port(MLFLOW_PORT)
    address = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store.uri, "--default-artifact-root", str(store.artifact_root)]
    log = root / ".prefect" / "mlflow.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        server = subprocess.Popen(
            command, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + START_SECONDS
        while not answers(address):
            if server.poll() is not None or time.monotonic() > until:
                raise DassError(f"MLflow's pages did not start: their last words are in {log}")
            time.sleep(0.2)
        yield address
    finally:
        end_family(server.pid)
        server.wait()


if __name__ == "__main__":
    main()
