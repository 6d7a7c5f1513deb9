"""From a teacher to a chosen student, and what a second call does."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dass.errors import DassError
from dass.search.constraints import AskedLimits, Constraints
from dass.shrink import shrink as steps
from dass.shrink.files import Filed
from dass.shrink.recipe import divide_time, shrink_recipe
from dass.shrink.report import page
from dass.shrink.shrink import Request, Shrunk, shrink, shrink_folder
from dass.space.cost import cost, weights_size
from dass.tasks.task import Task
from dass.training.recipes import train_teacher
from tests.factories import teacher_card
from tests.samples import SPACE, TEACHER_RECIPE, rows_task

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def task() -> Task:
    data = rows_task(train=80)
    teacher, result = train_teacher(data, SPACE.largest, TEACHER_RECIPE, seed=0, device=CPU)
    return Task(data, teacher, teacher_card(teacher, data, result.accuracy))


@pytest.fixture(scope="module")
def request_() -> Request:
    return Request(AskedLimits("60%").constraints(cost(SPACE.largest, 16, 4)), minutes=0.02)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shrink")


@pytest.fixture(scope="module")
def shrunk(task: Task, request_: Request, folder: Path) -> Shrunk:
    return shrink(task, request_, folder, device=CPU)


def test_the_student_is_within_the_limits_and_is_measured_on_the_test_images(
    task: Task, request_: Request, shrunk: Shrunk
) -> None:
    assert request_.constraints.max_macs is not None
    assert all(one.student.macs <= request_.constraints.max_macs * 1e6 for one in shrunk.distilled)
    right = (shrunk.logits.argmax(1) == task.data.test_labels).double().mean()
    assert shrunk.test.accuracy == pytest.approx(100 * float(right))
    best = max(one.student.final_accuracy for one in shrunk.distilled)
    assert shrunk.chosen.final_accuracy == best
    assert 0 <= shrunk.agreement <= 100


def test_a_second_call_goes_on_from_what_is_there(
    task: Task, request_: Request, shrunk: Shrunk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(steps, "distil_student", never)
    monkeypatch.setattr(steps.RaceSearch, "rank", never)
    again = shrink(task, request_, folder, device=CPU)
    assert again.chosen == shrunk.chosen
    assert torch.equal(again.logits, shrunk.logits)


def test_a_student_that_was_lost_is_distilled_again(
    task: Task, request_: Request, shrunk: Shrunk, folder: Path
) -> None:
    for path in (shrunk.distilled[-1].path, shrunk.distilled[-1].path.with_suffix(".json")):
        path.unlink()
    assert shrink(task, request_, folder, device=CPU).chosen == shrunk.chosen


def test_the_test_images_choose_nothing(task: Task, request_: Request, shrunk: Shrunk, tmp_path: Path) -> None:
    spoilt = replace(task, data=replace(task.data, test_labels=(task.data.test_labels + 1) % 4))
    (tmp_path / "search.json").write_bytes((shrunk.distilled[0].path.parent / "search.json").read_bytes())
    (tmp_path / "plan.json").write_bytes((shrunk.distilled[0].path.parent / "plan.json").read_bytes())
    other = shrink(spoilt, request_, tmp_path, device=CPU)
    assert other.chosen.architecture == shrunk.chosen.architecture
    assert torch.equal(other.logits, shrunk.logits)


def test_what_is_asked_for_names_the_folder(task: Task, request_: Request, tmp_path: Path) -> None:
    folders = {
        shrink_folder(task, asked, tmp_path, CPU)
        for asked in (request_, replace(request_, seed=1), replace(request_, minutes=2.0), Request(Constraints(), 0.05))
    }
    assert len(folders) == 4
    assert shrink_folder(task, request_, tmp_path, CPU) in folders


def test_a_latency_belongs_to_what_it_was_measured_on(
    task: Task, request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another device, or with other threads, nothing is gone on from that was chosen by times measured elsewhere."""
    limited = replace(request_, constraints=replace(request_.constraints, max_latency=5.0))

    def place(asked: Request) -> Path:
        return shrink_folder(task, asked, tmp_path, CPU)

    here, free, many = place(limited), place(request_), replace(limited.constraints, latency_batch=8)
    assert len({here, free, place(replace(limited, constraints=many))}) == 3
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert place(limited) != here and place(request_) == free
    monkeypatch.undo()
    monkeypatch.setattr("dass.device._processor", lambda: "another one")
    assert place(limited) != here and place(request_) == free


def test_the_page_stands_alone_and_escapes_what_people_wrote(task: Task, request_: Request, shrunk: Shrunk) -> None:
    odd = replace(task, data=replace(task.data, classes=("<b>", "$a_1$", "c & d", "é" * 60)))
    filed = Filed(
        "models:/x/1", "champion", "the first version", Path("w.safetensors"), (), "sqlite:///x", (1.0, 2.0), (0.5, 1.0)
    )
    html = page(odd, request_, shrunk, filed, "dass shrink --data '<i>'", 60.0)
    assert html.startswith("<!doctype html>")
    assert "&lt;b&gt;" in html and "c &amp; d" in html and "&lt;i&gt;" in html
    assert "http" not in html.split("<pre>")[0]
    assert html.count("data:image/png;base64,") == 3


@pytest.mark.parametrize(
    ("seconds", "epoch", "students", "expected"),
    [
        (300, 10, 5, (3, 10)), (299, 10, 5, (2, 14)), (150, 10, 5, (1, 15)), (5, 10, 5, (1, 1)), (300, 10, 1, (1, 30)),
        (-1, 10, 3, (1, 1)), (1e6, 1, 3, (3, 200)), (300, 10, 2, (2, 15)),
    ],
)  # fmt: skip
def test_time_is_divided(seconds: float, epoch: float, students: int, expected: tuple[int, int]) -> None:
    assert divide_time(seconds, epoch, students) == expected


def test_small_sets_fill_a_batch() -> None:
    assert shrink_recipe(rows_task(train=20)).batch_size == 5
    assert shrink_recipe(rows_task(train=1000)).batch_size == 64


@pytest.mark.parametrize("name", ["search.json", "student"])
def test_a_damaged_step_says_which_folder_to_delete(
    task: Task, request_: Request, shrunk: Shrunk, folder: Path, tmp_path: Path, name: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = copy / (name if name == "search.json" else shrunk.distilled[0].path.name)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DassError, match="delete this folder"):
        shrink(task, request_, copy, device=CPU)


def test_limits_of_size_latency_and_accuracy_are_kept_and_said(task: Task, tmp_path: Path) -> None:
    """The file is small enough, the student was measured, and it is told how it stands to the accuracy asked for."""
    most = 0.9 * weights_size(SPACE.largest, 4) / 1e6
    limits = Constraints(max_size=most, max_latency=10_000.0, keep_accuracy=100.0)
    asked = Request(limits, minutes=0.02)
    shrunk = shrink(task, asked, tmp_path, device=CPU)
    assert all(one.path.stat().st_size <= most * 1e6 for one in shrunk.distilled)
    assert shrunk.latency is not None and 0 < shrunk.latency < 10_000
    assert shrunk.floor_check is not None and shrunk.floor_check.floor == pytest.approx(task.card.accuracy - 100)
    assert shrunk.floor_check.predicted == shrunk.chosen.final_accuracy
    assert shrunk.chosen.macs == min(one.student.macs for one in shrunk.distilled)  # all are within 100 points
    filed = Filed("models:/x/1", "champion", "r", shrunk.distilled[0].path, (), "sqlite:///x", (1.0, 2.0), (0.5, 1.0))
    html = page(task, asked, shrunk, filed, "dass shrink", 60.0)
    assert (
        f"{most:g} MB" in html
        and f"{shrunk.latency:.3g} ms" in html
        and f"{shrunk.floor_check.probability:.0%}" in html
    )
    assert shrink_folder(task, asked, tmp_path, CPU) != shrink_folder(task, Request(Constraints(), 0.05), tmp_path, CPU)


def test_too_short_a_time_is_told_before_the_search(task: Task, tmp_path: Path) -> None:
    said: list[str] = []
    shrink(task, Request(Constraints(max_macs=0.2), minutes=0.001), tmp_path, device=CPU, tell=said.append)
    first = next(line for line in said if "--minutes" in line or "search:" in line)
    assert "--minutes" in first


def test_what_8_bits_reach_is_shown() -> None:
    made = Filed("models:/x/1", "champion", "r", Path("w"), (Path("a.onnx"),), "sqlite:///x", (1.0, 2.0), (0.5, 1.0))
    assert len(replace(made, int8="66.00% of 200 test images").places()) == len(made.places()) + 1
