"""The pipeline on real images, and presets at a tenth of their size."""

import json
import os
import signal
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from safetensors.numpy import load_file

from dass.search.result import load_search
from dass.students.database import StudentDatabase
from tests.e2e.sandbox import HERE, Sandbox, every_record

pytestmark = pytest.mark.timeout(1200)  # minutes where cores are shared


def test_real_images(sandbox: Sandbox, shared_datasets: Path) -> None:
    """TinyImageNet as source and a class folder of real photographs as target, a few classes of each."""
    values = sandbox.params()
    values["datasets"] = ["tiny-imagenet", "plantvillage"]
    values["source"] |= {"dataset": "tiny-imagenet", "classes_per_group": 3, "splits": [0, 1, 3], "validation": [3]}
    values["teacher"] |= {"epochs": 1, "warmup_epochs": 0, "batch_size": 64}
    values["distillation"] |= {"batch_size": 64}
    values["targets"] = {"leaves": {"dataset": "plantvillage"}}
    sandbox.set_params(values)
    few_classes(shared_datasets / "tiny-imagenet-200-subset.zip", sandbox.root / "few.zip", 15)
    for name, path in (
        ("tiny-imagenet", sandbox.root / "few.zip"),
        ("plantvillage", shared_datasets / "plantvillage.zip"),
    ):
        sandbox.run("python", "-m", "dass.cli.main", "data", "import", name, str(path))
    assert "search@leaves" in sandbox.repro("search@leaves", "target_students@leaves")
    split = json.loads((sandbox.root / "data/splits/split0.json").read_text())
    assert len(split["classes"]) == 3
    assert len(split["train"]) == len(split["test"]) == 300
    found = load_search(sandbox.root / "data/search/leaves/search.json")
    assert len(found.ranking) == 40
    assert 0 < found.teacher_accuracy < 100
    assert len(StudentDatabase(sandbox.root / "data/students/targets/leaves").read_all("leaves")) == 5


def few_classes(archive: Path, path: Path, count: int) -> None:
    """Copies the first classes of TinyImageNet's archive; tests/func/test_real_datasets.py imports all of it."""
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(path, "w") as made:
        root = f"{whole.namelist()[0].split('/')[0]}/"
        kept = whole.read(f"{root}wnids.txt").decode().split()[:count]
        lines = whole.read(f"{root}val/val_annotations.txt").decode().splitlines(keepends=True)
        lines = [line for line in lines if line.split("\t")[1] in kept]
        shown = {f"{root}val/images/{line.split(chr(9))[0]}" for line in lines}
        for name in whole.namelist():
            if name in shown or name == f"{root}words.txt" or name.removeprefix(f"{root}train/").split("/")[0] in kept:
                made.writestr(name, whole.read(name))
        made.writestr(f"{root}wnids.txt", "\n".join(kept))
        made.writestr(f"{root}val/val_annotations.txt", "".join(lines))


@pytest.mark.service
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("preset", ["medium", "resnet18"])
def test_a_preset_starts_resumes_and_finishes_at_a_tenth_of_its_size(
    sandbox: Sandbox, shared_datasets: Path, preset: str
) -> None:
    """At 64x64 on real images; a tenth of the classes, students, images, candidates; two targets."""
    values = yaml.safe_load((HERE / "presets" / f"{preset}.yaml").read_text())
    values["datasets"] = ["tiny-imagenet", "plantvillage", "rsscn7"]
    values["source"] |= {"classes_per_group": 4, "splits": [0, 1, 8], "validation": [8]}
    values["teacher"] |= {"epochs": 1, "min_steps": 20, "warmup_epochs": 0, "batch_size": 16}
    values["distillation"] |= {"epochs": 1, "min_steps": 20, "batch_size": 16}
    values["students"] |= {"per_source": 3, "per_target": 5, "repeated": 2}
    values["predictor"] |= {"episodes": 100}
    values["search"] |= {"candidates": 300, "one_batch": 30, "k_step": 4, "steps": 10}
    values["evaluation"] |= {
        "methods": ["dass", "maml", "parameters", "multifidelity_one_batch"], "picks": ["dass", "parameters"],
        "seeds": 1,
        "pick_seeds": 1, "bootstrap": 1000,
    }  # fmt: skip
    values["targets"] = {name: values["targets"][name] for name in ("plantvillage", "rsscn7")}
    sandbox.set_params(values)
    for name in values["datasets"]:
        file = "tiny-imagenet-200-subset.zip" if name == "tiny-imagenet" else f"{name}.zip"
        sandbox.run("python", "-m", "dass.cli.main", "data", "import", name, str(shared_datasets / file))
    stage = sandbox.start("dvc", "repro", "students")
    until = time.monotonic() + 1200
    while len(seen := every_record(sandbox)) < 2:
        assert time.monotonic() < until and stage.poll() is None, f"{len(seen)} records"
        time.sleep(0.5)
    os.killpg(stage.pid, signal.SIGKILL)
    stage.wait()
    time.sleep(1.5)
    seen = every_record(sandbox)
    assert len(seen) < 9
    sandbox.repro("students")
    assert seen.items() <= every_record(sandbox).items()
    for piece in (
        "multi_fidelity",
        "meta_train",
        "target_students@plantvillage",
        "target_students@rsscn7",
        "register@rsscn7",
    ):
        sandbox.repro(piece)  # each within the ten minutes that a command may take
    sandbox.repro("rank")
    sandbox.repro()
    assert sandbox.repro() == []
    sandbox.run("python", "-m", "dass.cli.main", "study", "save", "study", "--teachers")
    study = sandbox.root / "study"
    sizes = {path: path.stat().st_size for path in study.rglob("*") if path.is_file()}
    teachers = {path: size for path, size in sizes.items() if study / "teachers" in path.parents}
    assert sum(sizes.values()) - sum(teachers.values()) < 60e6
    for path in study.rglob("*.safetensors"):
        if path in teachers:  # half precision
            assert teachers[path] < 2.1 * sum(weight.size for weight in load_file(path).values())
    assert "| rsscn7 | 5 |" in (sandbox.root / "study/README.md").read_text()
