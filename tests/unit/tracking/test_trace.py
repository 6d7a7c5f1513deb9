from collections.abc import Callable
from pathlib import Path

import pytest

from dass.errors import UsageError
from dass.tracking.lineage import DataHash
from dass.tracking.promotion import promote
from dass.tracking.store import Store
from dass.tracking.trace import trace


def test_from_alias_to_commit_data_and_commands(store: Store, register: Callable, tmp_path: Path) -> None:
    version = register(0)
    promote(store, version)
    found = trace(store, "models:/dass-student-pets@champion", tmp_path)
    assert (found.model, found.version, found.aliases) == ("dass-student-pets", 1, ("champion",))
    assert (found.run_id, found.experiment) == (version.run_id, "dass/targets")
    assert (found.commit, found.dirty) == ("c" * 40, False)
    assert found.data == (DataHash("data/splits", "aaa.dir"),)
    assert dict(found.details)["teacher_id"] == "abcdef012345"
    assert dict(found.details)["promotion.reason"] == "the first version"
    assert found.commands == (
        f"git checkout {'c' * 40}",
        f"mlflow artifacts download --run-id {version.run_id} --artifact-path dvc.lock --dst-path .",
        "dvc checkout data/splits",
        "# not in the local cache? dvc pull data/splits",
    )
    assert trace(store, "models:/dass-student-pets/1", tmp_path) == found


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("dass-student-pets", "write models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/dass-student-pets", "write models:/NAME@ALIAS"),
        ("models:/dass-student-dogs@champion", "no registered model 'dass-student-dogs': there are dass-student-pets"),
        ("models:/dass-student-pets@best", "no alias 'best': it has champion"),
        ("models:/dass-student-pets/9", "no version 9: the newest is 1"),
    ],
)
def test_unknown_names_are_told_with_what_there_is(
    store: Store, register: Callable, tmp_path: Path, uri: str, message: str
) -> None:
    promote(store, register(0))
    with pytest.raises(UsageError, match=message):
        trace(store, uri, tmp_path)


def test_an_empty_registry_says_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are none"):
        trace(store, "models:/x@champion", tmp_path)
