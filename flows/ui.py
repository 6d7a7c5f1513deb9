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
from dass.params_file import find_root
from dass.tracking.address import page_address
from dass.tracking.store import open_store
from flows.infrastructure.exits import exit_with_line, when_stopped
from flows.infrastructure.processes import end_family
from flows.infrastructure.server import START_SECONDS, address_of, answers, listen, prefect_server

MLFLOW_PORT = 5000


def main() -> None:
    """Starts what is not yet running, prints the addresses, waits."""
    root = find_root()
    os.chdir(root)  # where prefect.toml is
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
    if found := page_address(store.uri):
        yield found
        return
    log = root / ".prefect" / "mlflow.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with listen(MLFLOW_PORT) as listener, log.open("ab") as output:
        address = address_of(listener)
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.infrastructure.mlflow_pages", str(listener.fileno()), str(os.getpid())],
            cwd=root,
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
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
