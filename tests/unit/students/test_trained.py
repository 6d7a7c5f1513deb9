"""A distilled student on disk."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.files import write_json
from dass.networks.elastic_resnet import ElasticResNet
from dass.sealed import read_sealed
from dass.space.search_space import SearchSpace
from dass.students.build import student_record
from dass.students.record import StudentRecord
from dass.students.task_key import task_key
from dass.students.trained import TrainedStudent, load_student, save_student
from dass.training.recipes import distill

CPU = torch.device("cpu")
Distilled = tuple[ElasticResNet, StudentRecord]


@pytest.fixture(scope="module")
def distilled(data: TaskData, space: SearchSpace, recipe: DistillationRecipe) -> Distilled:
    """A student really distilled, for one epoch."""
    recipe = recipe.model_copy(update={"epochs": 1, "evaluations": 1})
    torch.manual_seed(0)
    teacher = ElasticResNet(space.largest, len(data.classes))
    architecture = space.from_depth_width([1, 2, 2, 1], [2, 4, 8, 8])
    [result] = distill(teacher, [architecture], data, recipe, seed=5, device=CPU)
    return result.network, student_record(result, task_key(data, teacher, recipe, CPU), data, CPU)


@pytest.fixture
def saved(tmp_path: Path, distilled: Distilled) -> Path:
    network, record = distilled
    path = tmp_path / "distilled" / "rows.safetensors"
    save_student(path, network, TrainedStudent.of(record, 4))
    return path


def test_it_says_what_the_record_says(distilled: Distilled) -> None:
    network, record = distilled
    student = TrainedStudent.of(record, 4)
    assert student.architecture == network.architecture
    assert student.architecture.arch_id == record.arch_id
    assert student.classes == 4
    same = set(vars(student)) - {"architecture", "classes", "weights_id"}
    assert {name: getattr(student, name) for name in same} == {name: getattr(record, name) for name in same}


def test_a_failed_student_is_not_one(distilled: Distilled) -> None:
    failed = replace(distilled[1], failure="loss became nan in epoch 1, step 3")
    with pytest.raises(DassError, match=rf"{failed.arch_id} .*nan"):
        TrainedStudent.of(failed, 4)


def test_it_comes_back(saved: Path, distilled: Distilled, data: TaskData) -> None:
    network, student = load_student(saved)
    assert student == TrainedStudent.of(distilled[1], 4)
    assert not network.training
    images = data.test_images[:5].float() / 128 - 1
    with torch.no_grad():
        assert torch.equal(network(images), distilled[0].eval()(images))
    assert sorted(path.name for path in saved.parent.iterdir()) == ["rows.json", "rows.safetensors"]


def test_the_same_student_gives_the_same_files(saved: Path, distilled: Distilled) -> None:
    """When and where it was distilled is in the record alone, so that a repeated run has the same hashes."""
    before = [path.read_bytes() for path in sorted(saved.parent.iterdir())]
    again = replace(distilled[1], seconds=1e6, finished_at="2030-01-01T00:00:00+00:00", device="another")
    save_student(saved, distilled[0], TrainedStudent.of(again, 4))
    assert [path.read_bytes() for path in sorted(saved.parent.iterdir())] == before


def test_a_full_disk_leaves_the_old_student(
    saved: Path, distilled: Distilled, file_size_limit: Callable[[int], AbstractContextManager[None]]
) -> None:
    student = TrainedStudent.of(distilled[1], 4)
    with file_size_limit(1000), pytest.raises(DassError, match=r"rows\.safetensors.*free space"):
        save_student(saved, distilled[0], replace(student, seed=6))
    assert load_student(saved)[1] == student


def test_what_is_missing_or_damaged_is_named(saved: Path) -> None:
    card = saved.with_suffix(".json")
    values = read_sealed(card)

    def refuses(pattern: str) -> None:
        with pytest.raises(DassError, match=pattern) as caught:
            load_student(saved)
        assert "\n" not in str(caught.value)

    for wrong in ([], {**values, "more": 1}, {k: v for k, v in values.items() if k != "seed"}):
        write_json(card, wrong)
        refuses(r"rows\.json is not a student's card .*distil stage")
    write_json(card, {**values, "architecture": {"widths": [[4]]}})
    refuses(r"rows\.json is not a student's card .*4 stages")
    write_json(card, {**values, "classes": 5})
    refuses(r"classifier\.weight has shape \[4, 16\], expected \[5, 16\]")
    write_json(card, values)
    saved.write_bytes(saved.read_bytes()[:-10])
    refuses(r"rows\.safetensors cannot be read")
    saved.unlink()
    refuses("no checkpoint")
    card.unlink()
    refuses(r"cannot read .*rows\.json")
