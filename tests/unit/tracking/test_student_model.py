from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException

from dass.errors import DassError
from dass.networks.elastic_resnet import ElasticResNet
from dass.sealed import read_sealed, write_sealed
from dass.space.architecture import Architecture
from dass.tracking.student_model import DESCRIPTION, StudentModel, load_student_model, save_student_model

CLASSES = ("cat", "dog", "class", "été")
ARCHITECTURE = Architecture(((4, 8), (8, 16), (16,), (32,)))


def _network() -> ElasticResNet:
    torch.manual_seed(0)
    network = ElasticResNet(ARCHITECTURE, len(CLASSES)).train()
    with torch.no_grad():
        network(torch.randn(16, 3, 16, 16))  # so that running statistics differ from their start
    return network.eval()


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> StudentModel:
    return StudentModel(_network(), CLASSES, 16)


def test_answers_names_and_probabilities_of_the_network_itself(model: StudentModel) -> None:
    images = _images(5)
    frame = model.predict(images)
    floats = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        expected = _network()(floats).softmax(dim=1).numpy()
    assert list(frame.columns) == ["class", "probability", "p_cat", "p_dog", "p_class", "p_été"]
    np.testing.assert_allclose(frame.iloc[:, 2:].to_numpy(), expected, atol=1e-5)
    assert list(frame["class"]) == [CLASSES[index] for index in expected.argmax(axis=1)]
    np.testing.assert_allclose(frame["probability"], expected.max(axis=1), atol=1e-5)


def test_the_answer_does_not_depend_on_how_images_are_batched(model: StudentModel) -> None:
    images = _images(260)
    together = model.probabilities(images)
    np.testing.assert_allclose(together[255:258], model.probabilities(images[255:258]), atol=1e-5)
    assert together.shape == (260, 4)


def test_read_only_strided_and_no_images(model: StudentModel) -> None:
    images = _images(6)
    images.flags.writeable = False
    assert model.predict(images[::2])["class"].tolist() == model.predict(images)["class"].tolist()[::2]
    assert len(model.predict(images[:0])) == 0


@settings(max_examples=60)
@given(
    shape=st.lists(st.sampled_from([0, 1, 3, 8, 16]), min_size=0, max_size=5),
    dtype=st.sampled_from(["uint8", "int64", "float32", "bool", "int8"]),
)
def test_anything_else_is_refused_as_the_senders_fault(model: StudentModel, shape: list[int], dtype: str) -> None:
    images = np.zeros(shape, dtype=dtype)
    one = len(shape) == 3
    is_fit = dtype != "bool" and len(shape) in (3, 4) and shape[-1] in (1, 3)
    if is_fit and (0 not in shape or (not one and shape[0] == 0)):
        assert len(model.predict(images)) == (1 if one else shape[0])
        return
    with pytest.raises(MlflowException, match="height, width, 3") as caught:
        model.predict(images)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_many_images_of_other_sizes_are_answered_in_order(model: StudentModel) -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 20, 24, 3), dtype=np.uint8)
    together = model.predict(images)
    pd.testing.assert_frame_equal(together[298:].reset_index(drop=True), model.predict(list(images[298:])), atol=1e-5)


def test_files_bring_back_the_same_student(model: StudentModel, tmp_path: Path) -> None:
    save_student_model(tmp_path / "student", _network(), CLASSES, 16)
    loaded = load_student_model(tmp_path / "student")
    assert (loaded.classes, loaded.resolution, loaded.network.architecture) == (CLASSES, 16, ARCHITECTURE)
    assert (loaded.probabilities(_images(3)) == model.probabilities(_images(3))).all()


def test_the_temperature_comes_back_and_divides_the_logits(model: StudentModel, tmp_path: Path) -> None:
    save_student_model(tmp_path, _network(), CLASSES, 16, 2.0)
    found, plain = load_student_model(tmp_path).probabilities(_images(3)), model.probabilities(_images(3))
    expected = np.sqrt(plain) / np.sqrt(plain).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_student_filed_before_has_no_temperature(model: StudentModel, tmp_path: Path) -> None:
    save_student_model(tmp_path, _network(), CLASSES, 16, 2.0)
    description = read_sealed(tmp_path / DESCRIPTION, "")
    del description["temperature"]
    write_sealed(tmp_path / DESCRIPTION, description)
    assert (load_student_model(tmp_path).probabilities(_images(3)) == model.probabilities(_images(3))).all()


def test_files_that_changed_are_refused(tmp_path: Path) -> None:
    save_student_model(tmp_path, _network(), CLASSES, 16)
    other = ElasticResNet(ARCHITECTURE, len(CLASSES))
    save_student_model(tmp_path / "other", other, CLASSES, 16)
    (tmp_path / "other" / "weights.safetensors").replace(tmp_path / "weights.safetensors")
    with pytest.raises(DassError, match="other weights"):
        load_student_model(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"short")
    with pytest.raises(DassError, match="cannot be read as weights"):
        load_student_model(tmp_path)
