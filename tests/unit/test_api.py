"""The public names, and the examples that use them."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

import dass
from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from tests.factories import make_teacher
from tests.samples import SPACE

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("api") / "teacher.safetensors"
    save_file(make_teacher(classes=2).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def images(teacher_file: Path) -> Path:
    folder = teacher_file.parent / "images"
    for part, count in (("train", 24), ("test", 6)):
        for label, name in enumerate(("dark", "light")):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                rng = np.random.default_rng([label, number, count])
                pixels = (rng.integers(0, 128, (32, 32, 3)) + 127 * label).astype(np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{number}.png")
    return folder


def test_every_public_name_is_there_and_no_other() -> None:
    for name in dass.__all__:
        assert getattr(dass, name).__name__ == name
    assert set(dass.__all__) <= set(dir(dass))
    with pytest.raises(AttributeError, match="nothing"):
        dass.nothing  # noqa: B018


def test_importing_the_library_imports_nothing_heavy() -> None:
    code = "import dass, sys; print(any(name in sys.modules for name in ('torch', 'numpy', 'mlflow', 'pydantic')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_library_refuses_what_the_command_line_refuses(teacher_file: Path, images: Path) -> None:
    teacher, data = dass.load_teacher(teacher_file), dass.open_dataset(images, resolution=16)
    for wrong in ({"students": 0}, {"seconds": -1.0}, {"seed": -1}, {"max_macs": "140%"}, {"max_params": -2.0}):
        with pytest.raises(UsageError):
            dass.rank_students(teacher, data, device="cpu", **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="epochs"):
        dass.distill(teacher, SPACE.largest, data, epochs=0, device="cpu")
    other = ElasticResNet(SPACE.largest, 3)
    for use in (
        lambda: dass.rank_students(other, data, device="cpu"),
        lambda: dass.distill(other, SPACE.largest, data, device="cpu"),
        lambda: dass.evaluate(other, data, device="cpu"),
    ):
        with pytest.raises(UsageError, match="3 outputs"):
            use()


def test_from_files_to_a_distilled_student(teacher_file: Path, images: Path) -> None:
    teacher = dass.load_teacher(teacher_file)
    data = dass.open_dataset(images, resolution=16)
    assert (data.resolution, data.classes, len(data.train_labels)) == (16, ("dark", "light"), 48)
    found = dass.rank_students(teacher, data, max_macs="60%", students=3, device="cpu")
    limit = 0.6 * dass.cost(teacher.architecture, 16, 2).macs
    assert len(found.ranking) == 3
    assert all(candidate.cost.macs <= limit for candidate in found.ranking)
    [student] = dass.distill(teacher, found.pick.architecture, data, epochs=4, device="cpu")
    assert student.architecture == found.pick.architecture
    assert dass.evaluate(student.network, data, device="cpu").accuracy == pytest.approx(student.final_accuracy)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"teacher\.pth"):
        dass.load_teacher(tmp_path / "teacher.pth")
    with pytest.raises(UsageError, match=r"images\.zip"):
        dass.open_dataset(tmp_path / "images.zip", resolution=16)


def test_the_example_without_files_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "sizes_of_a_space.py"), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) == 11


def test_the_example_with_files_runs(teacher_file: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "shrink_a_teacher.py"))["main"](str(teacher_file), str(images), students=2, epochs=1)
    teacher, student = capsys.readouterr().out.splitlines()
    assert teacher.startswith("teacher: ") and student.startswith("student: ")


def test_the_notebook_runs(teacher_file: Path, images: Path) -> None:
    cells = json.loads((EXAMPLES / "from_teacher_to_student.ipynb").read_text())["cells"]
    first, *rest = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    exec(first, names)
    names |= {"TEACHER": str(teacher_file), "IMAGES": str(images), "RESOLUTION": 16}
    for cell in rest:
        exec(cell, names)
    assert names["student"].architecture == names["found"].pick.architecture


def test_the_lines_of_the_readme_run(
    teacher_file: Path,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    [lines] = re.findall(r"(?s)```python\n(.*?)```", (ROOT / "README.md").read_text())
    (tmp_path / "teacher.pth").symlink_to(teacher_file)
    (tmp_path / "images").symlink_to(images)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(lines, names)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["teacher", "student"]
    assert names["student"].architecture == names["found"].pick.architecture
