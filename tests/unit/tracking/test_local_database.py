"""A project's mlflow.db after its project was copied or moved, and where it is damaged or in use."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dass.errors import DassError
from dass.tracking import local_database
from dass.tracking.registry import RegisteredVersion
from dass.tracking.runs import RunContent, record_run
from dass.tracking.store import Store, may_pass, open_store
from tests.unit.tracking.conftest import LINEAGE


def files(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "way", ["copied", "moved", "copied, and the old one deleted", "moved back", "a place of blanks"]
)
def test_a_project_elsewhere_writes_only_into_itself_and_finds_its_models(
    way: str,
    store: Store,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    register: Callable[..., RegisteredVersion],
    caplog: pytest.LogCaptureFixture,
) -> None:
    import mlflow

    version = register(0)
    run = record_run(store, RunContent("targets", "before", LINEAGE, files=(_file(tmp_path / "a.txt"),)))
    (other,) = [store.client.create_experiment("mine", artifact_location="file:///elsewhere/mlartifacts/mine")]
    new = tmp_path_factory.mktemp("new") / ("pro ject" if "blanks" in way else "project")
    if way.startswith("moved"):
        shutil.move(tmp_path, new)
        if "back" in way:
            open_store(new)
            shutil.move(new, tmp_path)
            new = tmp_path
    else:
        shutil.copytree(tmp_path, new)
    if "deleted" in way:
        shutil.rmtree(tmp_path)
    before = files(tmp_path) if tmp_path.exists() else {}

    caplog.clear()
    found = open_store(new)
    assert len(caplog.records) == 1
    assert open_store(new) and len(caplog.records) == 1  # said once
    again = record_run(found, RunContent("targets", "after", LINEAGE, files=(_file(new / "b.txt"),)))
    for run_id, name in ((run, "a.txt"), (again, "b.txt")):
        info = found.client.get_run(run_id).info
        assert info.artifact_uri.startswith(new.resolve().as_uri())
        assert Path(found.client.download_artifacts(run_id, name, str(new))).read_text() == "kept"
    assert found.client.get_experiment(other).artifact_location == "file:///elsewhere/mlartifacts/mine"
    mlflow.set_tracking_uri(found.uri)
    mlflow.pyfunc.load_model(version.uri)
    if new != tmp_path:
        assert (files(tmp_path) if tmp_path.exists() else {}) == before


def test_a_project_that_has_not_moved_is_left_alone(store: Store, tmp_path: Path) -> None:
    before = (tmp_path / "mlflow.db").read_bytes()
    open_store(tmp_path)
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_an_empty_file_is_no_registry(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(DassError, match=r"mlflow\.db is empty"):
        open_store(tmp_path)
    assert (tmp_path / "mlflow.db").stat().st_size == 0
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("create table other (x)")
    with pytest.raises(DassError, match="not a database of MLflow"):
        open_store(tmp_path)


def test_a_database_that_is_held_is_told_as_such(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_database, "_WAIT_SECONDS", 0.1)
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as database:
        database.execute("begin exclusive")
        with pytest.raises(DassError, match="another program") as caught:
            open_store(tmp_path)
    assert "unset" not in str(caught.value)
    assert may_pass(caught.value)


def _file(path: Path) -> Path:
    path.write_text("kept")
    return path
