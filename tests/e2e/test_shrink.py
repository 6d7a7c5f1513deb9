"""A ResNet of other people's, a zip of photographs and two commands: to a registered student that answers over HTTP."""

import base64
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from dass.config import Augmentation, TeacherRecipe
from dass.datasets.importing import import_dataset
from dass.datasets.packed import load_target
from dass.families.cifar_resnet import CifarResNet
from dass.space.architecture import Architecture
from dass.training.recipes import train_teacher
from tests.e2e.sandbox import Sandbox, new_project
from tests.func.served import free_port, until

CLASSES = ("blue", "green", "red")
pytestmark = pytest.mark.timeout(900)


def photograph(label: int, number: int, width: int = 40, height: int = 36) -> bytes:
    """A JPEG whose colour says its class."""
    pixels = np.random.default_rng([label, number]).integers(0, 130, (height, width, 3), dtype=np.uint8)
    pixels[..., 2 - label] += 110
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG")
    return data.getvalue()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A zip of images and a ResNet-20 trained on them, saved as its authors save theirs."""
    sandbox = new_project(tmp_path_factory.mktemp("shrink") / "project", DASS_WORKERS="1")
    root = sandbox.root
    with zipfile.ZipFile(root / "photos.zip", "w") as made:
        for part, count in (("train", 40), ("test", 14)):
            for label, name in enumerate(CLASSES):
                for number in range(count):
                    made.writestr(f"{part}/{name}/{number}.jpg", photograph(label, number + 1000 * (part == "test")))
    import_dataset("photos", root / "photos.zip", root / "there", 32)
    data = load_target(root / "there" / "photos-32")
    family, widths = CifarResNet.networks()["resnet20"]
    recipe = TeacherRecipe(
        epochs=3, batch_size=24, learning_rate=0.05, momentum=0.9, weight_decay=0.0005, precision="float32",
        augmentation=Augmentation(flip=True, crop_padding=0), label_smoothing=0.0,
    )  # fmt: skip
    teacher, _ = train_teacher(data, Architecture(widths, family), recipe, seed=0, device=torch.device("cpu"))
    weights = {f"module.{name}": one for name, one in teacher.state_dict().items() if not name.startswith("input.")}
    torch.save({"state_dict": weights, "best_prec1": 91.7}, root / "resnet20.th")
    return sandbox


GIVEN = ("--data", "photos.zip", "--teacher", "resnet20.th", "--max-macs", "40%", "--expect-accuracy", "0")
SHRINK = ("dass", "shrink", *GIVEN, "--max-size", "700kB", "--max-latency", "10s", "--minutes", "0.1")


@pytest.fixture(scope="module")
def made(project: Sandbox) -> str:
    """What `dass shrink` said."""
    return project.run(*SHRINK).stdout


def test_a_search_picks_within_a_share_of_the_teacher(project: Sandbox) -> None:
    options = ("--method", "race", "--one-batch", "6", "--k-step", "2", "--json")
    found = json.loads(project.run("dass", "search", *GIVEN, *options).stdout)
    facts = json.loads(project.run("dass", "teacher", "inspect", "resnet20.th", "--json").stdout)
    macs = next(value for name, value in facts.items() if name.lower().startswith("macs"))
    assert found["pick"]["macs"] <= 0.4 * macs
    assert found["pick"]["architecture"]["family"]["name"] == "cifar_resnet"


def test_a_student_is_registered_and_described(project: Sandbox, made: str) -> None:
    assert "models:/dass-student-photos/1 is champion" in made
    for word in ("teacher", "pick", "ms measured", "MB"):
        assert word in made
    [report] = (project.root / "data" / "shrink").glob("photos-*/report.html")
    assert "data:image/png" in report.read_text()
    again = project.run(*SHRINK).stdout
    assert "models:/dass-student-photos/1 is champion" in again  # nothing is trained or filed a second time
    if project.run("python", "-c", "import onnxruntime", check=False).returncode == 0:
        assert {path.name for path in report.parent.glob("*.onnx")} >= {"student.onnx"}


@pytest.fixture
def address(project: Sandbox, made: str) -> Iterator[str]:
    """`dass serve` of the student."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "dass.cli.main", "serve", "models:/dass-student-photos@champion", "--port", str(port)],
        cwd=project.root, env=project.environment,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        try:
            return httpx.get(f"{url}/health", timeout=5).is_success
        except httpx.HTTPError:
            return False

    try:
        until(up, 200, "the service")
        yield url
    finally:
        server.terminate()
        server.wait(30)


def test_it_answers_photographs_over_http_as_its_file_does(project: Sandbox, address: str) -> None:
    files = [photograph(label, 5000 + label, 70, 50) for label in range(3)]
    body = {"inputs": [base64.b64encode(each).decode() for each in files]}
    rows = httpx.post(f"{address}/invocations", json=body, timeout=60).raise_for_status().json()["predictions"]
    answers = np.array([[row[f"p_{name}"] for name in CLASSES] for row in rows])
    assert [row["class"] for row in rows] == [CLASSES[place] for place in answers.argmax(axis=1)]
    assert 'status="200"' in httpx.get(f"{address}/metrics", timeout=60).text
    for path in (project.root / "data" / "shrink").glob("photos-*/student.onnx"):  # none without the extra
        _check_file(path, files, answers)


def _check_file(path: Path, files: list[bytes], answers: np.ndarray) -> None:
    import onnxruntime

    images = np.stack([np.asarray(Image.open(io.BytesIO(each))) for each in files])
    [found] = onnxruntime.InferenceSession(path).run(["probabilities"], {"images": images})
    np.testing.assert_allclose(found, answers, atol=0.02)
