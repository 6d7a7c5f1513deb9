import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dass.cli.main import app
from dass.errors import DassError, UsageError
from dass.tracking.store import Store, open_store

NAME = "dass-predictor"


@pytest.fixture
def store(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A real store with two versions that, as predictors, have no test images to be compared by."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(migrated, tmp_path / "mlflow.db")
    store = open_store(tmp_path)
    store.client.create_registered_model(NAME)
    for version in ("first", "second"):
        store.client.create_model_version(NAME, source=(tmp_path / version).as_uri(), await_creation_for=0)
    return store


def test_promote_overrule_and_roll_back(store: Store) -> None:
    assert f"{NAME} version 1 is champion: the first version" in _run("promote", f"models:/{NAME}/1")
    assert "decide yourself" in str(_fail("promote", f"models:/{NAME}/2"))
    assert _champion(store) == "1"
    said = _run("promote", f"models:/{NAME}/2", "--why", "twice the students")
    assert f"{NAME} version 2 is champion: twice the students" in said
    assert _champion(store) == "2"
    tags = store.client.get_model_version(NAME, "2").tags
    assert (tags["promotion.reason"], tags["promotion.previous"]) == ("twice the students", "1")
    said = _run("rollback", NAME, "--why", "ranks digits badly")
    assert f"{NAME} version 1 is champion: rolled back from version 2: ranks digits badly" in said
    assert _champion(store) == "1"
    assert store.client.get_model_version(NAME, "2").tags["rollback.reason"] == "ranks digits badly"


def test_wrong_use_names_what_there_is(store: Store) -> None:
    assert "the newest is 2" in str(_fail("promote", f"models:/{NAME}/7"))
    assert "has no alias 'champion'" in str(_fail("promote", f"models:/{NAME}@champion"))
    assert f"there are {NAME}" in str(_fail("promote", "models:/other/1"))
    assert "models:/NAME/VERSION" in str(_fail("promote", NAME))
    assert "a few words" in str(_fail("promote", f"models:/{NAME}/1", "--why", " "))
    assert "no champion" in str(_fail("rollback", NAME, "--why", "x"))
    assert store.client.get_registered_model(NAME).aliases == {}


def test_a_reason_must_be_given_to_roll_back(store: Store) -> None:
    result = CliRunner().invoke(app, ["rollback", NAME])
    assert result.exit_code == 2
    assert "--why" in result.output


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _fail(*arguments: str) -> BaseException:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, DassError)
    assert isinstance(result.exception, UsageError)
    return result.exception


def _champion(store: Store) -> str:
    return str(store.client.get_registered_model(NAME).aliases["champion"])
