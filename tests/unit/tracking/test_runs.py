import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from dass.errors import DassError
from dass.tracking.lineage import DataHash, Lineage
from dass.tracking.runs import KEY, Curve, Input, RunContent, record_run
from dass.tracking.store import Store

LINEAGE = Lineage("c" * 40, "work", True, (DataHash("data/splits", "aaa.dir"),), "the lock\n", b"the p\xe4tch\n")


@pytest.fixture
def content(tmp_path: Path) -> RunContent:
    picture = tmp_path / "curve.png"
    picture.write_bytes(b"\x89PNG")
    return RunContent(
        kind="teachers",
        name="split0",
        lineage=LINEAGE,
        params={f"param{number}": number for number in range(150)} | {"none": None},
        metrics={"accuracy": 43.5, "seconds": 1.5, "undefined": float("nan")},
        curves=(Curve("train/loss", tuple(range(1500)), tuple(1 / (1 + step) for step in range(1500))),),
        files=(picture,),
        table=pd.DataFrame({"name": ["a", None], "value": [1.5, 2.5]}),
        inputs=(Input("split0", "0123456789ab", "training"),),
        note="# A teacher",
        tags={"teacher_id": "abc"},
    )


def test_everything_is_recorded(store: Store, content: RunContent, tmp_path: Path) -> None:
    run = store.client.get_run(record_run(store, content))
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "split0"
    assert store.client.get_experiment(run.info.experiment_id).name == "dass/teachers"
    assert len(run.data.params) == 151
    assert run.data.metrics["accuracy"] == 43.5
    history = store.client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == [(step, 1 / (1 + step)) for step in range(1500)]
    assert run.data.tags["git.commit"] == run.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert (run.data.tags["dvc.data/splits"], run.data.tags["git.dirty"]) == ("aaa.dir", "true")
    assert run.data.tags["mlflow.note.content"] == "# A teacher"
    assert run.data.tags["teacher_id"] == "abc"
    dataset = run.inputs.dataset_inputs[0]
    assert (dataset.dataset.name, dataset.dataset.digest, dataset.tags[0].value) == (
        "split0",
        "0123456789ab",
        "training",
    )
    files = tmp_path / "mlartifacts" / "teachers" / run.info.run_id / "artifacts"
    assert (files / "curve.png").read_bytes() == b"\x89PNG"
    assert (files / "dvc.lock").read_text() == "the lock\n"
    assert (files / "changes.patch").read_bytes() == b"the p\xe4tch\n"
    table = json.loads((files / "teachers.json").read_text())
    assert table == {"columns": ["name", "value"], "data": [["a", 1.5], [None, 2.5]]}


def test_the_same_result_is_recorded_once(store: Store, content: RunContent) -> None:
    first = record_run(store, content)
    later = replace(content, metrics={**content.metrics, "seconds": 9.0}, lineage=replace(LINEAGE, commit="d" * 40))
    assert record_run(store, later) == first
    assert record_run(store, replace(content, metrics={"accuracy": 44.0})) != first
    assert len(_runs(store)) == 2


def test_a_run_cut_short_is_ended_and_replaced(store: Store, content: RunContent) -> None:
    experiment = store.experiment_id("teachers")
    killed = store.client.create_run(experiment, tags={KEY: content.key}).info.run_id
    recorded = record_run(store, content)
    assert recorded != killed
    assert store.client.get_run(killed).info.status == "KILLED"
    assert [run.info.status for run in _runs(store)].count("FINISHED") == 1


def test_a_failure_ends_the_run_as_failed_and_the_next_try_succeeds(
    store: Store, content: RunContent, tmp_path: Path
) -> None:
    blocked = tmp_path / "mlartifacts"
    blocked.write_text("a file where the folder of artifacts belongs")
    with pytest.raises(DassError, match="teachers/split0 in sqlite"):
        record_run(store, content)
    assert [run.info.status for run in _runs(store)] == ["FAILED"]
    blocked.unlink()
    assert store.client.get_run(record_run(store, content)).info.status == "FINISHED"


def test_an_interrupt_ends_the_run_as_killed(
    store: Store, content: RunContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(store.client), "log_artifact", interrupt)
    with pytest.raises(KeyboardInterrupt):
        record_run(store, content)
    assert [run.info.status for run in _runs(store)] == ["KILLED"]


def test_a_deleted_run_is_recorded_again(store: Store, content: RunContent) -> None:
    first = record_run(store, content)
    store.client.delete_run(first)
    assert record_run(store, content) != first


def test_a_missing_file_is_told_before_anything_is_recorded(store: Store, content: RunContent, tmp_path: Path) -> None:
    with pytest.raises(DassError, match=r"nothing\.png is missing"):
        record_run(store, replace(content, files=(tmp_path / "nothing.png",)))
    assert store.client.search_experiments(filter_string="name = 'dass/teachers'") == []


def test_a_curve_has_a_value_per_step() -> None:
    with pytest.raises(DassError, match="2 steps and 1 values"):
        Curve("loss", (1, 2), (0.5,))


def _runs(store: Store) -> list:
    return list(store.client.search_runs([store.experiment_id("teachers")]))
