"""A student as ONNX: the same answers as torch gives, on images of a real dataset."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from dass.config import DistillationRecipe
from dass.datasets.augment import normalize
from dass.datasets.decoding import decode
from dass.datasets.importing import import_dataset
from dass.datasets.packed import load_target
from dass.datasets.task_data import TaskData
from dass.errors import DassError, UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.students import onnx_export
from dass.students.onnx_export import NEEDED, export_onnx
from dass.students.onnx_int8 import WorseError, export_int8, int8_path, spread
from dass.students.onnx_resize import Square
from dass.training.recipes import distill
from tests.factories import make_teacher

STUDENT = Architecture(((4, 8), (4, 8), (8,), (16,)))
needs_onnx = pytest.mark.skipif(
    not all(map(find_spec, NEEDED)), reason="the extra `onnx` is not installed: students are not exported"
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    folder = tmp_path_factory.mktemp("raw")
    import_dataset("digits", None, folder, 16)
    return load_target(folder / "digits-16")


@pytest.fixture(scope="module")
def network(images: TaskData, recipe: DistillationRecipe) -> ElasticResNet:
    """A student that was distilled for a moment."""
    teacher = make_teacher(Architecture(((8, 8), (8, 8), (8,), (16,))), 10)
    recipe = recipe.model_copy(update={"epochs": 3, "evaluations": 1, "batch_size": 64, "alpha": 1.0})
    [student] = distill(teacher, [STUDENT], images, recipe, seed=0, device=torch.device("cpu"))
    return student.network.eval()


@needs_onnx
def test_it_answers_as_torch_does_for_any_number_of_real_images(
    images: TaskData, network: ElasticResNet, tmp_path: Path
) -> None:
    import onnxruntime

    path = tmp_path / "student.onnx"
    tried = spread(images.test_images, 100)
    assert export_onnx(network, images.classes, 16, path, temperature=2.0, images=tried) < 1e-5

    session = onnxruntime.InferenceSession(path)
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["classes"].split("\n") == list(images.classes)
    assert metadata["resolution"] == "16" and "bicubic" in metadata["resize_rule"]
    assert [(put.name, put.type, put.shape[1:]) for put in session.get_inputs()] == [
        ("images", "tensor(uint8)", [*session.get_inputs()[0].shape[1:3], 3])
    ]
    assert all(isinstance(side, str) for side in session.get_inputs()[0].shape[:3])  # any number, any size
    for count in (1, 3, 200):
        batch = images.test_images[:count]
        [found] = session.run(["probabilities"], {"images": batch.permute(0, 2, 3, 1).numpy()})
        with torch.inference_mode():
            expected = (network(normalize(batch)) / 2.0).softmax(dim=1).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@needs_onnx
def test_the_file_of_8_bits_is_smaller_and_as_right(images: TaskData, network: ElasticResNet, tmp_path: Path) -> None:
    import onnxruntime

    path = tmp_path / "student.onnx"
    export_onnx(network, images.classes, 16, path, images=spread(images.test_images, 20))
    found = export_int8(path, images, int8_path(path))
    assert int8_path(path) == tmp_path / "student.int8.onnx"
    assert found.images == len(images.test_labels) and found.float32 > 30  # else there is nothing to lose
    assert found.int8 >= found.float32 - 1
    assert found.megabytes[1] < 0.6 * found.megabytes[0]
    session = onnxruntime.InferenceSession(int8_path(path))
    assert session.get_modelmeta().custom_metadata_map["classes"].split("\n") == list(images.classes)
    for count in (1, 50):
        [answers] = session.run(["probabilities"], {"images": images.test_images[:count].permute(0, 2, 3, 1).numpy()})
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


@needs_onnx
def test_a_file_of_8_bits_that_answers_worse_is_not_written(
    images: TaskData, network: ElasticResNet, tmp_path: Path
) -> None:
    path = tmp_path / "student.onnx"
    export_onnx(network, images.classes, 16, path, images=spread(images.test_images, 20))
    black = replace(images, train_images=images.train_images * 0)  # of which no range of any layer can be told
    with pytest.raises(WorseError, match="8 bits"):
        export_int8(path, black, int8_path(path))
    assert [left.name for left in tmp_path.iterdir()] == [path.name]


@needs_onnx
def test_a_file_that_answers_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    with pytest.raises(DassError, match=r"differ by .* nothing was written"):
        export_onnx(ElasticResNet(STUDENT, 3), ("a", "b", "c"), 16, tmp_path / "student.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"onnx, onnxscript, onnxruntime: .*\[onnx\]"):
        export_onnx(ElasticResNet(STUDENT, 3), ("a", "b", "c"), 16, tmp_path / "student.onnx")


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    from sklearn.datasets import load_sample_images

    return np.array(load_sample_images().images[0])


@pytest.mark.parametrize("size", [(427, 640), (400, 401), (17, 23), (16, 16), (1, 5), (33, 32), (8, 8), (300, 100)])
def test_resizing_in_the_file_is_that_of_training(photograph: np.ndarray, size: tuple[int, int]) -> None:
    """Level by level, but where Pillow takes columns before rows and so rounds otherwise in between."""
    for resolution in (16, 64):
        image = np.ascontiguousarray(photograph[: size[0], : size[1]])
        expected = decode(image, resolution).pixels.astype(int)
        found = Square(resolution)(torch.from_numpy(image)[None])[0].numpy().astype(int)
        tall = size[0] > size[1]
        assert np.abs(found - expected).max() <= (8 if tall else 1)
        assert (found != expected).mean() <= (0.25 if tall else 0.001)


@needs_onnx
def test_both_files_take_images_of_any_size(
    images: TaskData, network: ElasticResNet, photograph: np.ndarray, tmp_path: Path
) -> None:
    import onnxruntime

    path = tmp_path / "student.onnx"
    export_onnx(network, images.classes, 16, path, images=spread(images.test_images, 20))
    export_int8(path, images, int8_path(path))
    for each, tolerance in ((path, 2e-3), (int8_path(path), 0.35)):
        session = onnxruntime.InferenceSession(each)
        for height, width in ((427, 640), (50, 50), (9, 31)):
            batch = np.stack([photograph[:height, :width]] * 3)
            pixels = torch.from_numpy(decode(batch[0], 16).pixels.copy()).permute(2, 0, 1)[None]
            with torch.inference_mode():
                expected = network(normalize(pixels)).softmax(dim=1).numpy()
            [found] = session.run(["probabilities"], {"images": batch})
            np.testing.assert_allclose(found, np.repeat(expected, 3, axis=0), atol=tolerance)
