import json
from collections.abc import Callable
from dataclasses import replace

import mlflow
import pytest
from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException

from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.tracking.registry import add_metrics
from dass.tracking.runs import RunContent, record_run
from dass.tracking.store import Store
from dass.tracking.student_registration import register_student, task_name_for
from tests.unit.tracking.conftest import LINEAGE


def test_a_version_holds_what_it_takes_to_trust_it(store: Store, data: TaskData, register: Callable) -> None:
    version = register(2)
    assert (version.name, version.version, version.uri) == ("dass-student-pets", 1, "models:/dass-student-pets/1")
    filed = store.client.get_model_version(version.name, "1")
    assert filed.run_id == version.run_id
    assert filed.description.startswith("# dass-student-pets")
    for name, value in {
        "git.commit": "c" * 40,
        "git.dirty": "false",
        "dvc.data/splits": "aaa.dir",
        "teacher_id": "abcdef012345",
        "architecture": "2,2,1,1 / 4,8,16,32",
        "predicted_accuracy": "40.0000",
        "distilled_accuracy": "36.0000",
        "data_id": data.data_id,
    }.items():
        assert filed.tags[name] == value
    assert int(filed.tags["macs"]) > 0
    assert int(filed.tags["parameters"]) > 0
    run = store.client.get_run(version.run_id)
    assert run.data.tags["student_arch_id"] == filed.tags["arch_id"]
    assert "pets" in store.client.get_registered_model(version.name).description
    [model] = run.outputs.model_outputs
    shown = store.client.get_logged_model(model.model_id).tags["mlflow.modelVersions"]
    assert json.loads(shown) == [{"name": version.name, "version": "1"}]


def test_the_model_loads_answers_and_refuses(store: Store, register: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    version = register(2)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    model = mlflow.pyfunc.load_model(version.uri)
    assert model.metadata.signature.inputs is None  # MLflow's server would cast to it
    assert model.metadata.signature.outputs.input_names() == ["class", "probability", "p_ant", "p_bee", "p_cat"]
    example = model.input_example
    assert example.shape == (2, 16, 16, 3)
    assert list(model.predict(example)["class"]) == ["cat", "cat"]
    assert list(model.predict(example / 255)["class"]) == ["cat", "cat"]
    assert list(model.predict(example[0, :8])["class"]) == ["cat"]
    for wrong in (example[0, 0], example[:, :, :, :2], example - 0.5, [[1, 2]]):
        with pytest.raises(MlflowException) as caught:
            model.predict(wrong)
        assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    requirements = mlflow.pyfunc.get_model_dependencies(version.uri)
    with open(requirements) as file:  # noqa: PTH123
        lines = file.read().split()
    assert {line.split("==")[0] for line in lines} == {
        "mlflow",
        "numpy",
        "pandas",
        "pillow",
        "pydantic",
        "safetensors",
        "torch",
    }
    assert all("==" in line and "+" not in line for line in lines)


def test_the_same_student_is_filed_once(store: Store, register: Callable) -> None:
    first = register(2)
    assert register(2) == first
    assert register(1).version == 2
    assert len(store.client.search_model_versions("name = 'dass-student-pets'")) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distilled_accuracy": 60.0}, "reach 36.00 % here, its record says 60.00 %"),
        ({"test_images": 99}, "counts 99 test images, not 100"),
        ({"classes": ("ant", "bee", "dog")}, "the card is about data"),
    ],
)
def test_a_card_of_another_student_is_refused(store: Store, register: Callable, changes: dict, message: str) -> None:
    with pytest.raises(DassError, match=message):
        register(2, **changes)
    assert store.client.search_registered_models() == []


def test_a_card_of_other_data_is_refused(
    store: Store, data: TaskData, make_student: Callable, register: Callable
) -> None:
    network, card = make_student(2)
    there = register(2)
    with pytest.raises(DassError, match="not 999999999999"):
        register_student(
            store,
            there.run_id,
            network=network,
            data=replace(data, data_id="9" * 12),
            card=card,
            lineage=None,  # type: ignore[arg-type]
        )


def _logged_model(store: Store, run_id: str) -> LoggedModel:
    """The last model of a run."""
    outputs = store.client.get_run(run_id).outputs.model_outputs
    return max(
        (store.client.get_logged_model(each.model_id) for each in outputs), key=lambda one: one.creation_timestamp
    )


def test_models_are_sorted_and_filtered_by_what_was_measured(store: Store, data: TaskData, register: Callable) -> None:
    models = [_logged_model(store, register(answer).run_id) for answer in (1, 2, 0)]
    measured = {metric.key: metric for metric in models[1].metrics}
    assert measured["test_accuracy"].value == 36
    assert (measured["test_accuracy"].dataset_name, measured["test_accuracy"].dataset_digest) == ("pets", data.data_id)
    assert measured["latency_ms_batch1"].value > 0
    assert measured["test_accuracy_low"].value < 36 < measured["test_accuracy_high"].value
    experiment = models[0].experiment_id
    best = {"field_name": "metrics.test_accuracy", "ascending": False}
    found = store.client.search_logged_models([experiment], order_by=[best])
    assert [model.model_id for model in found] == [models[index].model_id for index in (1, 0, 2)]
    [only] = store.client.search_logged_models([experiment], filter_string="metrics.test_accuracy > 35")
    assert only.model_id == models[1].model_id


def test_what_is_measured_later_stands_beside_it(store: Store, data: TaskData, register: Callable) -> None:
    version = register(1)
    for value in (35.0, 35.0, 34.5):  # the second time says nothing new
        add_metrics(store, version, {"int8_accuracy": value}, (data.name, data.data_id))
    assert store.client.get_model_version(version.name, "1").tags["int8_accuracy"] == "34.5000"
    measured = {metric.key: metric for metric in _logged_model(store, version.run_id).metrics}
    assert measured["int8_accuracy"].value == 34.5
    assert measured["int8_accuracy"].dataset_digest == measured["test_accuracy"].dataset_digest
    assert len(store.client.get_metric_history(version.run_id, "int8_accuracy")) == 2


def test_a_version_keeps_pictures_and_says_what_its_teacher_does(
    store: Store, data: TaskData, make_student: Callable
) -> None:
    network, card = make_student(2)
    teacher = make_student(1)[0]
    run_id = record_run(store, RunContent("targets", card.target, LINEAGE))
    version = register_student(
        store, run_id, network=network, data=data, card=card, lineage=LINEAGE, teacher=teacher, seen=True
    )
    tags = store.client.get_model_version(version.name, "1").tags
    assert tags["teacher_agreement"] == "0.0000"
    assert float(tags["speed_up_batch32"]) > 0
    assert float(tags["temperature"]) >= 1
    kept = {file.path for file in store.client.list_artifacts(run_id)}
    model = _logged_model(store, run_id).model_id
    filed = {file.path.rpartition("/")[2] for file in store.client.list_logged_model_artifacts(model, "data/student")}
    assert {"confusion.png", "mistakes.png"} <= kept & filed


def test_probabilities_are_calibrated(store: Store, data: TaskData, make_student: Callable) -> None:
    network, card = make_student(2)  # always as good as sure, and right once in three times
    run_id = record_run(store, RunContent("targets", card.target, LINEAGE))
    version = register_student(store, run_id, network=network, data=data, card=card, lineage=LINEAGE)
    tags = store.client.get_model_version(version.name, "1").tags
    assert float(tags["calibration_error_before"]) > 50
    assert float(tags["calibration_error"]) < 25
    mlflow.set_tracking_uri(store.uri)
    served = mlflow.pyfunc.load_model(version.uri)
    assert served.predict(served.input_example)["probability"].max() < 0.6


def test_another_task_of_the_same_name_is_filed_under_a_name_of_its_own(
    store: Store, data: TaskData, register: Callable
) -> None:
    assert task_name_for(store, "pets", data.classes) == "pets"
    register(2)
    assert task_name_for(store, "pets", data.classes) == "pets"
    names = {task_name_for(store, "pets", classes) for classes in (("ant", "bee"), ("bee", "ant", "cat"))}
    assert len(names | {"pets"}) == 3
    assert all(name.startswith("pets-") for name in names)
