"""A teacher of another library, from its checkpoint to a registered student, stage by stage."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from dass.datasets.importing import import_dataset
from dass.networks.remapping import remap
from dass.project import Project
from dass.students.trained import load_student
from dass.tracking.store import prepare
from tests.e2e.sandbox import Sandbox, new_project

CLASSES = ("ant", "bee", "cat")
SIDE = 16  # of images in pixels
STAGES = ("teacher", "search", "distil", "register")


def fill_images(folder: Path) -> None:
    """Three classes told apart by their colour."""
    for part, count in (("train", 12), ("test", 6)):
        for label, name in enumerate(CLASSES):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                rng = np.random.default_rng([label, number, len(part)])
                pixels = rng.integers(0, 120, (SIDE, SIDE, 3), dtype=np.uint8)
                pixels[..., label] += 120
                Image.fromarray(pixels).save(folder / part / name / f"{number}.png")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Sandbox:
    """The stages of one target carried out, whose teacher is a torchvision ResNet-18 as people save it."""
    sandbox = new_project(tmp_path_factory.mktemp("foreign") / "project", DASS_WORKERS="1")
    values = sandbox.params()
    values["data"] = {"resolution": SIDE}
    values["datasets"].append("insects")
    values["space"] = {
        "family": "torchvision_resnet", "network": "resnet18_3x3", "ratios": [0.25, 0.5, 1.0], "granularity": "block",
    }  # fmt: skip
    values["distillation"] |= {"epochs": 1, "min_steps": 2, "batch_size": 12, "evaluations": 1}
    values["search"] |= {"method": "race", "candidates": 12, "one_batch": 4, "k_step": 2, "max_macs": "40%"}
    values["targets"] = {"insects": {"dataset": "insects", "teacher": "theirs.pth", "expect_accuracy": 0}}
    sandbox.set_params(values)
    fill_images(sandbox.root / "images")
    import_dataset("insects", sandbox.root / "images", sandbox.root / "data" / "raw", SIDE)
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(weights=None, num_classes=3)
    theirs.conv1, theirs.maxpool = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False), torch.nn.Identity()
    torch.save(
        {"state_dict": {f"module.{name}": tensor for name, tensor in theirs.state_dict().items()}, "epoch": 3},
        sandbox.root / "data" / "checkpoints" / "theirs.pth",
    )
    prepare(sandbox.root)
    sandbox.environment["PREFECT_API_URL"] = prefect_api
    for stage in STAGES:
        sandbox.run("python", "-m", "flows.run", stage, "insects")
    return sandbox


def test_the_pick_is_within_its_share_of_the_teacher(project: Sandbox) -> None:
    found = json.loads((project.root / "data" / "search" / "insects" / "search.json").read_text())
    assert found["pick"]["architecture"]["family"]["name"] == "torchvision_resnet"
    assert found["pick"]["macs"] <= found["budget"]["max_macs"] * 1e6
    assert found["pick"]["fidelity"].startswith("steps")


def test_the_student_has_its_teachers_family_and_normalization(project: Sandbox) -> None:
    network, student = load_student(Project.open(project.root).student_file("insects"))
    assert student.architecture.family.name == "torchvision_resnet"
    assert network.normalization.mean == (0.485, 0.456, 0.406)
    assert len(network.classify(network.features(torch.zeros(1, 3, SIDE, SIDE)))[0]) == 3
    assert remap(network, network.architecture).normalization == network.normalization


@pytest.mark.filterwarnings("ignore:.*Any type hint")  # MLflow about its own code, when it is first used
def test_the_registered_student_answers_as_the_distilled_one(project: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project.root / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model("models:/dass-student-insects@champion")
    network, _ = load_student(Project.open(project.root).student_file("insects"))
    images = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
    answers = model.predict(images)
    version = mlflow.MlflowClient().get_model_version_by_alias("dass-student-insects", "champion")
    with torch.no_grad():
        logits = network(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1)
    expected = (logits / float(version.tags["temperature"])).softmax(1)
    for label, name in enumerate(CLASSES):
        np.testing.assert_allclose(answers[f"p_{name}"], expected[:, label].numpy(), atol=1e-4)  # the tag is rounded
    assert version.tags["family"] == "torchvision_resnet"


def test_it_can_be_exported(project: Sandbox) -> None:
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed: students are not exported")
    project.run("dass", "students", "export-onnx", "insects", "student.onnx")
    assert (project.root / "student.onnx").stat().st_size > 1000
