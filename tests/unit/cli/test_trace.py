"""`dass trace` from a real registry."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dass.tracking.lineage import DataHash, Lineage
from dass.tracking.runs import RunContent, record_run
from dass.tracking.store import open_store

COMMIT = "c" * 40


@pytest.fixture
def version(migrated: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registered version of a run with lineage; gives the run's id."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(migrated, project / "mlflow.db")
    store = open_store(project)
    lineage = Lineage(COMMIT, "work", True, (DataHash("data/splits", "aaa.dir"),), "the lock\n", b"a patch\n")
    run_id = record_run(store, RunContent("targets", "pets", lineage))
    store.client.create_registered_model("dass-student-pets")
    store.client.create_model_version(
        "dass-student-pets", source=(project / "model").as_uri(), run_id=run_id,
        tags=lineage.tags() | {"teacher_id": "abcdef012345"}, await_creation_for=0,
    )  # fmt: skip
    store.client.set_registered_model_alias("dass-student-pets", "champion", "1")
    return run_id


def test_from_model_to_commit_and_commands(dass: Callable, version: str) -> None:
    said = dass("trace", "models:/dass-student-pets@champion")
    assert said.code == 0
    for line in (
        "model    dass-student-pets version 1 (champion)",
        f"run      {version} in experiment dass/targets",
        f"commit   {COMMIT} with uncommitted changes",
        "data     aaa.dir  data/splits",
        "         teacher_id: abcdef012345",
        f"  git checkout {COMMIT}",
        "  dvc checkout data/splits",
    ):
        assert line in said.out.splitlines()
    assert dass("trace", "models:/dass-student-pets/1").out == said.out


def test_as_json(dass: Callable, version: str) -> None:
    found = json.loads(dass("trace", "models:/dass-student-pets/1", "--json").out)
    assert (found["run_id"], found["commit"], found["dirty"]) == (version, COMMIT, True)
    assert found["data"] == [{"path": "data/splits", "md5": "aaa.dir", "tracked": True}]


def test_wrong_use(refuses: Callable, version: str) -> None:
    assert "write models:/NAME@ALIAS or models:/NAME/VERSION" in refuses(2, "trace", "dass-student-pets")
    assert "'x': there are dass-student-pets" in refuses(2, "trace", "models:/x@champion")
    assert "the newest is 1" in refuses(2, "trace", "models:/dass-student-pets/2")
