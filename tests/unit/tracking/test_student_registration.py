from collections.abc import Callable
from dataclasses import replace

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.tracking.store import Store
from dass.tracking.student_registration import register_student


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
    assert len(run.outputs.model_outputs) == 1


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
    assert {line.split("==")[0] for line in lines} == {"mlflow", "numpy", "pandas", "pillow", "safetensors", "torch"}
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
