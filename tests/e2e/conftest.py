"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.server import prefect_server
from tests.e2e.sandbox import Sandbox, new_project


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One real Prefect server for all end-to-end tests, as `make repro` starts one for all stages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        with prefect_server(tmp_path_factory.mktemp("prefect")) as api:
            yield api


@pytest.fixture
def sandbox(tmp_path: Path, prefect_api: str) -> Sandbox:
    """A new project, committed once."""
    return new_project(tmp_path / "project", PREFECT_API_URL=prefect_api)
