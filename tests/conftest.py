"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_datasets() -> Path:
    """The folder of real image zips; the test is skipped, visibly, where there is none."""
    folder = Path(os.environ.get("DASS_SHARED_DATASETS", ""))
    if not os.environ.get("DASS_SHARED_DATASETS") or not folder.is_dir():
        pytest.skip("DASS_SHARED_DATASETS does not name a folder of real image zips")
    return folder
