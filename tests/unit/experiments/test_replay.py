"""A replay from files to the table, with a score learned on other tasks."""

from pathlib import Path

import numpy as np
import pytest

from dass.cards import card_path
from dass.files import read_json, write_json
from dass.networks.checkpoint import TeacherCard
from dass.sealed import write_sealed
from dass.space.cost import CostLimits, cost
from dass.space.search_space import SearchSpace
from experiments.curves.learned import LearnedScore
from experiments.curves.methods import by_loss
from experiments.curves.record import CurveRecord, Reading, append_curves, read_curves
from experiments.curves.replay import main
from experiments.curves.setting import READINGS
from experiments.curves.table import Table
from tests.factories import make_card
from tests.unit.experiments.test_methods import CLOCK

SPACE = SearchSpace((8, 16, 16, 32), 3, (0.25, 0.5, 0.75, 1.0), "block")


def card(task: str) -> TeacherCard:
    return make_card(task=task, recipe_id="")


def curves(task: str, seed: int, students: int = 24, misleading: float = 0.0) -> list[CurveRecord]:
    """Larger students end better; what is seen on the way says nothing, or the contrary."""
    rng = np.random.default_rng(seed)
    records = []
    for architecture in SPACE.sample(students, rng, CostLimits(16, 3, max_macs=0.5 * macs(SPACE.largest))):
        size = macs(architecture) / macs(SPACE.largest)
        loss = 1 + 0.1 * rng.normal() + misleading * size
        readings = tuple(Reading(steps, 3.0, 50.0, loss) for steps in (*READINGS, 1280))
        reached = 50 + 60 * size + 0.1 * rng.normal()
        records.append(
            CurveRecord(
                task, architecture.arch_id, str(architecture.to_json()).replace("'", '"'), 0, 0.5, "t" * 12, "d" * 12,
                "r" * 12, 1280, macs(architecture), 1, readings, reached, 1.0, (reached,), 1.0, 1.0, "cpu", "2",
            )
        )  # fmt: skip
    return records


def macs(architecture: object) -> int:
    return cost(architecture, 16, 3).macs  # type: ignore[arg-type]


def test_a_score_learned_on_other_tasks_knows_what_the_losses_hide() -> None:
    sources = [Table.of(curves(f"split{seed}", seed), card(f"split{seed}")) for seed in range(3)]
    target = Table.of(curves("cifar10", 9, misleading=0.5), card("cifar10"))
    everyone, reading = np.arange(len(target.macs)), target.reading(20)
    learned = LearnedScore(sources)(target, everyone, reading)
    assert np.corrcoef(learned, target.test)[0, 1] > 0.7
    assert np.corrcoef(by_loss(target, everyone, reading), target.test)[0, 1] < 0


def test_records_come_back_from_their_file(tmp_path: Path) -> None:
    records = curves("cifar10", 0, students=3)
    append_curves(tmp_path / "cifar10.jsonl", records[:2])
    append_curves(tmp_path / "cifar10.jsonl", records[2:])
    assert read_curves(tmp_path / "cifar10.jsonl") == records


@pytest.mark.parametrize("learned", [False, True])
def test_a_replay_writes_a_row_for_each_method_and_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learned: bool
) -> None:
    folder = tmp_path / "docs" / "study" / "small-long"
    for seed, task in enumerate(("cifar10", *(["split0", "split1"] * learned))):
        append_curves(folder / "records" / f"{task}.jsonl", curves(task, seed))
        kind = "source" if task.startswith("split") else "targets"
        path = card_path(folder.with_name("small") / "teachers" / kind / f"{task}.safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sealed(path, {**vars(card(task)), "architecture": SPACE.largest.to_json()})
    (tmp_path / "params.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "clock.json", {"clock": vars(CLOCK), "device": "a CPU", "torch": "2"})
    main("small-long", tmp_path / "clock.json", draws=5)
    rows = read_json(folder / "rows.json")
    assert {row["target"] for row in rows} == {"cifar10"}
    assert any(row["method"].startswith("learned") for row in rows) == learned
    for row in rows:
        assert row["low"] <= row["accuracy"] <= row["high"]
        assert row["seconds"] > 0
    assert "cifar10" in (folder / "tables.md").read_text()
