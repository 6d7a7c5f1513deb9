"""The plan: measured on this machine for real once, its arithmetic with times that are given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dass import planning
from dass.datasets.importing import import_dataset
from dass.planning import StageEstimate, assumed_datasets, make_plan
from dass.project import Project

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
Plan = Callable[..., dict[str, StageEstimate]]


def write_params(folder: Path, **changes: dict[str, Any]) -> Project:
    """A project with round numbers, and other values in some blocks."""
    values = yaml.safe_load((ROOT / "presets" / "demo.yaml").read_text())
    values["space"]["widths"] = [8, 8, 8, 8]
    values["source"] |= {"splits": list(range(10)), "validation": [8, 9]}
    values["teacher"] |= {"epochs": 10, "min_steps": 250}
    values["distillation"] |= {"epochs": 3, "min_steps": 40}
    values["students"] |= {"per_source": 8, "per_target": 20}
    values["search"] |= {"candidates": 500, "one_batch": 200}
    values["evaluation"] |= {"picks": [], "pick_seeds": 1}
    values["targets"] = {"digits": {"dataset": "digits", "max_macs": 1.5}}
    for block, change in changes.items():
        values[block] = {**values[block], **change}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    return Project.open(folder)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Plans with a tenth of a second per training image, a hundredth per test image and a second per candidate."""
    monkeypatch.setattr(planning, "_timed_image", lambda *_: planning._PerImage(0.1, 0.1, 0.01, 1.0))

    def make(workers: int = 1, **changes: dict[str, Any]) -> dict[str, StageEstimate]:
        return {found.stage: found for found in make_plan(write_params(tmp_path, **changes), CPU, workers)}

    return make


def test_measured_here(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    project = write_params(tmp_path, distillation={"batch_size": 8})
    found = make_plan(project, CPU)
    assert torch.get_num_threads() == threads
    for estimate in found:
        assert 0 <= estimate.hours < 10
        assert estimate.hours > 0 or estimate.stage == "dataset"
        assert 0 < estimate.disk_mib < 100
        assert 100 < estimate.memory_mib < 100_000
    stages = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    assert [estimate.stage for estimate in found] == [
        stage for stage in stages if stage not in ("names", "splits", "register", "evaluate")
    ]


def test_a_users_teacher_costs_nothing_and_halves_are_halves(plan: Plan, tmp_path: Path) -> None:
    card = import_dataset("digits", None, tmp_path / "data" / "raw", 16).card
    recipe = {"epochs": 10, "min_steps": 0}
    targets = {"own": {"dataset": "digits", "teacher": "mine.pt"}, "digits": {"dataset": "digits"}}
    both, halved = (
        plan(teacher=recipe, targets=targets | {"digits": {"dataset": "digits", "halves": halves}})["teacher"]
        for halves in (False, True)
    )
    assert both.work == "1 teachers"
    assert both.hours * 3600 == pytest.approx(10 * card.train_count * 0.1 + 10 * card.test_count * 0.01)
    images = card.train_count + card.test_count
    assert halved.hours * 3600 == pytest.approx(10 * images / 2 * (0.1 + 0.01), rel=1e-3)


def test_hours_are_images_times_time(plan: Plan) -> None:
    recipe = {"epochs": 10, "min_steps": 0}
    found = plan(teacher=recipe, distillation=recipe | {"evaluations": 3}, targets={"digits": {"dataset": "digits"}})
    # 6,000 images are taken for what is not here: 120 of each of 50 classes, of which a source task gets 12.
    images = 12 * 120 // 2
    assert found["teachers"].hours * 3600 == pytest.approx(10 * (10 * images * 0.1 + 10 * images * 0.01))
    assert found["teacher"].hours * 3600 == pytest.approx(10 * 6000 * 0.1 + 10 * 3000 * 0.01)
    assert found["search"].hours * 3600 == pytest.approx(500)
    one = found["distil"].hours
    assert 0 < one * 3600 < 10 * 6000 * 0.1 + 4 * 3000 * 0.01  # a student is smaller than its teacher
    assert found["target_students"].hours == pytest.approx(20 * one)
    assert found["students"].hours == pytest.approx(10 * 8 * one * images / 6000, rel=0.05)


def test_a_search_by_the_predictor_tries_one_batch_and_halves_trainings_over_the_workers(plan: Plan) -> None:
    def search(workers: int = 1, **change: Any) -> StageEstimate:
        return plan(
            workers, search={"method": "multi_fidelity", "candidates": 500, "one_batch": 1, "k_step": 0, **change}
        )["search"]

    one = search()
    start = one.hours * 3600 - 500
    assert 0 < start < 512 * 0.01  # a student is smaller than its teacher
    assert search(one_batch=200).hours * 3600 == pytest.approx(500 + 200 * start)
    step = search(one_batch=9, k_step=1, steps=10).hours * 3600 - 500 - 9 * start

    def steps(k_step: int, longest: int, workers: int = 1) -> float:
        seconds = search(workers, one_batch=9, k_step=k_step, steps=longest).hours * 3600 - 500
        return 10 * (seconds * workers - 9 * start) / step

    assert steps(9, 5) == pytest.approx(9 * 5)
    assert steps(9, 10) == pytest.approx(9 * 10)
    assert steps(9, 20) == pytest.approx(9 * 10 + 4 * 20)
    for workers in (1, 4):
        assert steps(9, 50, workers) == pytest.approx(9 * 10 + 4 * 20 + 2 * 50)
    assert one.work == "1 x 500 candidates, 1 on one batch, 0 trained for some steps"
    alone = plan()["search"]
    assert alone.work == "1 x 500 candidates"
    assert search(one_batch=200).memory_mib == alone.memory_mib + plan()["multi_fidelity"].memory_mib


def test_methods_that_learn_are_learned_for_every_seed_and_picks_are_distilled(plan: Plan) -> None:
    def rank(methods: list[str], **more: Any) -> StageEstimate:
        return plan(evaluation={"methods": methods, "seeds": 1, **more})["rank"]

    alone = rank(["dass"]).hours  # the predictor is there already: 20 students are scored, a second each
    assert alone * 3600 == pytest.approx(20)
    learned = rank(["dass", "maml"]).hours - 2 * alone
    assert learned > 0
    three = rank(["dass", "maml"], seeds=3)
    assert three.hours == pytest.approx(6 * alone + 5 * learned)  # all but DaSS's first
    assert rank(["dass", "few_shot_5", "depth"]).hours == pytest.approx(alone + learned)
    assert rank(["dass", "naswot"]).hours > rank(["dass", "remapped_loss"]).hours > alone
    picked = rank(["dass", "depth"], picks=["depth"], pick_seeds=3)
    assert picked.work == "2 methods, 3 picks"
    assert picked.hours == pytest.approx(alone + 3 * plan()["distil"].hours)


def test_min_steps_prolong_a_small_task(plan: Plan) -> None:
    steps = 720 // 32
    twice = plan(distillation={"min_steps": 6 * steps})["students"].hours
    assert twice / plan(distillation={"min_steps": 0})["students"].hours == pytest.approx(2, rel=0.1)


def test_workers_share_students_and_add_memory(plan: Plan) -> None:
    alone, shared = plan(1), plan(4)
    assert shared["students"].hours == pytest.approx(alone["students"].hours / 4)
    assert shared["students"].memory_mib == pytest.approx(alone["students"].memory_mib * 4)
    assert shared["distil"] == alone["distil"]


def test_counts_follow_the_parameters(plan: Plan) -> None:
    targets = {
        "a": {"dataset": "digits", "repeat": True},
        "b": {"dataset": "digits"},
        "c": {"dataset": "digits", "evaluate": False},
    }
    (before, after) = (
        plan(
            students={"repeated": 5},
            targets={name: targets[name] for name in names} | {"digits": {"dataset": "digits"}},
        )
        for names in ("", "abc")
    )
    assert before["target_students"].work == "20 students"
    assert after["target_students"].work == "65 students"
    assert after["search"].hours == pytest.approx(4 * before["search"].hours)
    assert (after["teachers"], after["students"]) == (before["teachers"], before["students"])


def test_more_groups_than_assumed_classes(plan: Plan) -> None:
    assert plan(source={"groups": 60, "classes_per_group": None})["teachers"].hours > 0


def test_a_dataset_that_is_here_is_counted(plan: Plan, tmp_path: Path) -> None:
    guessed = plan()["teacher"].hours
    assert assumed_datasets(write_params(tmp_path)) == ["glyphs", "digits"]
    card = import_dataset("digits", None, tmp_path / "data" / "raw", 16).card
    assert assumed_datasets(write_params(tmp_path)) == ["glyphs"]
    recipe = {"epochs": 10, "min_steps": 0}
    found = plan(teacher=recipe)["teacher"].hours
    assert found * 3600 == pytest.approx(10 * card.train_count * 0.1 + 10 * card.test_count * 0.01)
    assert found < guessed


def test_imagenet_is_planned_at_its_size_before_it_is_here(tmp_path: Path, plan: Plan) -> None:
    values = yaml.safe_load((ROOT / "presets" / "demo.yaml").read_text())
    values["datasets"] = ["glyphs", "imagenet"]
    values["targets"] = {"imagenet": {"dataset": "imagenet", "resolution": 256, "evaluate": False}}
    values["teacher"] |= {"epochs": 2, "min_steps": 0}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    project = Project.open(tmp_path)
    found = {estimate.stage: estimate for estimate in make_plan(project, CPU, 1)}
    assert found["dataset"].disk_mib > 243 * 1024
    pixels = (256 / 16) ** 2
    assert found["teacher"].hours * 3600 == pytest.approx(pixels * (2 * 1_281_167 * 0.1 + 10 * 50_000 * 0.01))
    assert assumed_datasets(project) == ["glyphs"]
