import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dass.errors import DassError
from dass.tracking.address import masked
from dass.tracking.store import Store, may_pass, open_store, prepare, tracking_uri


def test_importing_the_package_does_not_import_mlflow() -> None:
    code = "import sys; import dass.tracking.store, dass.tracking.lineage; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_address_is_absolute_sqlite_in_the_project_unless_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere/runs.db")
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/elsewhere/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:secret@host/path")
    assert tracking_uri(tmp_path) == "https://user:secret@host/path"
    assert masked(tracking_uri(tmp_path)) == "https://***@host/path"


@pytest.mark.parametrize("password", ["pa#ss", "pa/ss", "pa?ss"])
def test_a_password_that_breaks_the_address_is_not_shown(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"postgresql://mlflow:{password}@127.0.0.1:9/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(DassError, match=r"MLFLOW_TRACKING_URI .*%23") as caught:
        open_store(tmp_path)
    assert "pa" not in str(caught.value).replace("password", "")


def test_prepare_creates_a_whole_database_once_whatever_a_killed_one_left(migrated: Path) -> None:
    with sqlite3.connect(migrated) as connection:
        assert connection.execute("select count(*) from experiments").fetchone() == (1,)
    connection.close()
    assert [path.name for path in migrated.parent.iterdir() if path.suffix == ".tmp"] == []
    before = migrated.stat().st_mtime_ns
    prepare(migrated.parent)
    assert migrated.stat().st_mtime_ns == before


def test_files_lie_beside_the_database(store: Store, tmp_path: Path) -> None:
    experiment = store.client.get_experiment(store.experiment_id("teachers"))
    assert experiment.name == "dass/teachers"
    assert experiment.artifact_location == (tmp_path / "mlartifacts" / "teachers").as_uri()


def test_an_experiment_deleted_by_hand_comes_back(store: Store) -> None:
    experiment = store.experiment_id("targets")
    store.client.delete_experiment(experiment)
    assert store.experiment_id("targets") == experiment
    assert store.client.get_experiment(experiment).lifecycle_stage == "active"


def test_telemetry_is_off_where_the_environment_says_nothing(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from dass.tracking.store import open_store; open_store(pathlib.Path(sys.argv[1]));"
        "from mlflow.telemetry import get_telemetry_client; sys.exit(get_telemetry_client() is not None)"
    )
    kept = {name: value for name, value in os.environ.items() if name not in {"MLFLOW_DISABLE_TELEMETRY", "CI"}}
    kept.pop("DO_NOT_TRACK", None)
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=kept, check=False).returncode == 0
    assert (store.uri, os.environ["DO_NOT_TRACK"]) == (f"sqlite:///{tmp_path}/mlflow.db", "true")


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_nothing_listening_is_one_clear_line_soon(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://user:secret@127.0.0.1:{port}/db")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    start = time.monotonic()
    with pytest.raises(DassError, match=r"Connection refused.*MLFLOW_TRACKING_URI") as caught:
        open_store(tmp_path)
    assert time.monotonic() - start < 10
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_garbage_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"\x07garbage" * 1000)
    with pytest.raises(DassError, match=r"mlflow\.db.*not a database"):
        open_store(tmp_path)


def test_a_folder_address_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "mlruns"))
    with pytest.raises(DassError, match="MLFLOW_TRACKING_URI"):
        open_store(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DassError, match="cannot create"):
        prepare(tmp_path / "file")


def test_mlflow_errors_become_one_line(store: Store) -> None:
    with (
        pytest.raises(DassError, match="cannot look at nothing"),
        store.errors("look at nothing"),
    ):
        store.client.get_run("0" * 32)


def test_a_store_that_is_busy_or_gone_may_come_back_and_a_broken_one_does_not(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(DassError) as busy, store.errors("write"):  # as after sqlite's wait of 20 s
        raise MlflowException("(sqlite3.OperationalError)") from sqlite3.OperationalError("database is locked")
    assert may_pass(busy.value)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "mlflow.db").write_text("no database")
    with pytest.raises(DassError) as broken:
        open_store(tmp_path / "bad")
    assert not may_pass(broken.value)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(DassError) as gone:
        open_store(tmp_path)
    assert may_pass(gone.value)
