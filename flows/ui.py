"""Both web pages on this machine: `python -m flows.ui`, stopped with Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from dass.tracking.store import open_store
from flows.server import free_port, prefect_server
from flows.stage import exit_with_line

MLFLOW_PORT = 5000


def main() -> None:
    """Starts what is not yet running, prints the addresses, waits."""
    root = Path.cwd()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with exit_with_line(), prefect_server(root) as api:
        print(f"Prefect  {api.removesuffix('/api')}", flush=True)
        store = open_store(root)
        if store.uri.startswith("http"):
            print(f"MLflow   {store.uri}\nCtrl-C stops the Prefect server.", flush=True)
            signal.pause()
        port = free_port(MLFLOW_PORT)
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ]
        command += ["--backend-store-uri", store.uri, "--default-artifact-root", str(store.artifact_root)]
        server = subprocess.Popen(command, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"})
        print(f"MLflow   http://127.0.0.1:{port}\nCtrl-C stops both.", flush=True)
        try:
            server.wait()
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
