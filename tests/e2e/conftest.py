"""Fixtures of the end-to-end tests."""

from pathlib import Path

import pytest

from tests.e2e.sandbox import Sandbox, new_project


@pytest.fixture
def sandbox(tmp_path: Path, prefect_api: str) -> Sandbox:
    """A new project, committed once."""
    return new_project(tmp_path / "project", PREFECT_API_URL=prefect_api, DASS_WORKERS="1")
