from collections.abc import Callable
from pathlib import Path

import pytest

from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.tracking.lineage import DataHash, Lineage
from dass.tracking.promotion import promote
from dass.tracking.runs import RunContent, record_run
from dass.tracking.store import Store
from dass.tracking.student_registration import register_student
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


def test_what_was_brought_by_hand_is_told_and_not_checked_out(
    store: Store, data: TaskData, make_student: Callable, tmp_path: Path
) -> None:
    network, card = make_student(0)
    brought = DataHash("data/checkpoints", "bbb.dir", tracked=False)
    came_from = Lineage("c" * 40, "work", False, (brought, DataHash("data/splits", "aaa.dir")))
    run_id = record_run(store, RunContent("targets", "pets", came_from))
    register_student(store, run_id, network=network, data=data, card=card, lineage=came_from)
    found = trace(store, "models:/dass-student-pets/1", tmp_path)
    assert found.data == (brought, DataHash("data/splits", "aaa.dir"))
    assert found.commands[1:] == (
        "# data/checkpoints was brought by hand (bbb.dir): DVC has no copy of it",
        "dvc checkout data/splits",
        "# not in the local cache? dvc pull data/splits",
    )


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
