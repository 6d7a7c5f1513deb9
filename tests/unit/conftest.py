"""What tests of tracking and of the command line share."""

import os
from pathlib import Path

import pytest

# MLflow decides on telemetry when it is imported, which test modules do before any test runs.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking database, migrated once and to be copied by each test."""
    from dass.tracking.store import prepare

    folder = tmp_path_factory.mktemp("migrated")
    (folder / ".mlflow.db.tmp").write_bytes(b"what a process killed in the middle leaves")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        prepare(folder)
    return folder / "mlflow.db"
