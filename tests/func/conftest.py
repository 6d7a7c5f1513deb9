"""Fixtures of the functional tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.sandbox import new_project
from tests.func.served import Served, addresses, fill, until


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A project under what `make serve` runs; nothing of it may be left when it is told to stop."""
    sandbox = new_project(tmp_path_factory.mktemp("served") / "project", OMP_NUM_THREADS="1")
    values = sandbox.params()
    values["distillation"]["epochs"] = 8  # long enough for a person to cancel
    sandbox.set_params(values)
    fill(sandbox.root)
    log = sandbox.root / ".prefect" / "serve.log"
    log.parent.mkdir()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.serve"], cwd=sandbox.root, env=sandbox.environment, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: process.poll() is not None or addresses(log) is not None, 200, f"a server, see {log}")
        found = addresses(log)
        assert found, log.read_text()
        service = Served(sandbox, *found)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert service.processes() == []
