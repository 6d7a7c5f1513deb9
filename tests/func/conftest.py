"""Fixtures of the functional tests."""

import shutil
from collections.abc import Iterator

import pytest

from flows.infrastructure.server import prefect_server
from tests.e2e.sandbox import Sandbox, new_project
from tests.func.served import Served, fill, serving
from tests.func.students_stage import EACH, Stage


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A project under what `make serve` runs; nothing of it may be left when it is told to stop."""
    sandbox = new_project(tmp_path_factory.mktemp("served") / "project", OMP_NUM_THREADS="1")
    values = sandbox.params()
    values["distillation"]["epochs"] = 8  # long enough for a person to cancel
    sandbox.set_params(values)
    fill(sandbox.root)
    with serving(sandbox, sandbox.root / ".prefect" / "serve.log") as (service, _):
        yield service
    assert service.processes() == []


@pytest.fixture(scope="session")
def students_project(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A tiny project, its teachers there but untrained: what the stage needs, ready at once."""
    sandbox = new_project(tmp_path_factory.mktemp("faults") / "project", OMP_NUM_THREADS="1")
    values = sandbox.params()
    values["distillation"]["epochs"] = 4
    values["students"]["per_source"] = EACH
    sandbox.set_params(values)
    fill(sandbox.root)
    return sandbox


@pytest.fixture
def stage(students_project: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The stage under a Prefect server of its own, with no records yet."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    shutil.rmtree(students_project.root / "data" / "students", ignore_errors=True)
    with prefect_server(students_project.root) as api:
        yield Stage(students_project, api)
