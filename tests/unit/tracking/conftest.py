"""A migrated tracking database, paid for once and copied per test."""

import os
import shutil
from pathlib import Path

import pytest

from dass.tracking.store import Store, open_store, prepare

# MLflow decides on telemetry when it is imported, which test modules do before any test runs.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture(autouse=True)
def _own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracking address of the person who runs the tests must never be written to."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrated")
    (folder / ".mlflow.db.tmp").write_bytes(b"what a process killed in the middle leaves")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        prepare(folder)
    return folder / "mlflow.db"


@pytest.fixture
def store(migrated: Path, tmp_path: Path) -> Store:
    """A fresh store on a real sqlite database in `tmp_path`."""
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return open_store(tmp_path)
