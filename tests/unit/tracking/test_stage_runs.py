import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dass.config import Predictor
from dass.datasets.check import CheckReport, ClassCount
from dass.evaluation.intervals import Estimate
from dass.evaluation.tables import CorrelationRow, PickRow
from dass.files import file_id
from dass.predictor.checkpoint import load_predictor
from dass.predictor.meta_run import Validation
from dass.search.candidates import Candidate
from dass.search.constraints import Constraints
from dass.search.result import SearchResult
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.students.record import StudentRecord
from dass.tracking.lineage import DataHash, Lineage
from dass.tracking.stage_runs import log_dataset, log_predictor, log_students, log_teacher
from dass.tracking.store import Store
from dass.tracking.target_runs import MethodRun, add_correlation, has_run, log_evaluation, log_target
from dass.training.member import EpochEvaluation
from tests.factories import make_card, make_record
from tests.samples import TEACHER_RECIPE as RECIPE

ARCHITECTURE = Architecture(((4, 8), (8, 16), (16,), (32,)))
LINEAGE = Lineage("c" * 40, "work", False, (DataHash("data/splits", "aaa.dir"),), "the lock\n")
IDS = {"teacher_id": "abcdef012345", "data_id": "0123456789ab", "recipe_id": "fedcba987654"}
CARD = make_card(
    task="split0", classes=("a", "b"), architecture=ARCHITECTURE, accuracy=43.5, loss=1.5, seed=3, seconds=60.0,
    train_images=900, **IDS,
)  # fmt: skip
RECORD = make_record(
    ARCHITECTURE, arch_id="a1", init_accuracy=10.0, best_accuracy=41.0, final_accuracy=40.0, final_loss=1.2,
    kd_loss_at_start=3.0, macs=1000, params=500, seconds=6.0, **IDS,
)  # fmt: skip


def test_a_dataset_check(store: Store, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"\x89PNG")
    report = CheckReport("pets", 16, "as given", (ClassCount("a", 5, 2), ClassCount("b", 4, 3)), (), 1, 0, ())
    run = store.client.get_run(log_dataset(store, LINEAGE, report=report, data_id="0123456789ab", contact_sheet=sheet))
    assert run.data.metrics == {
        "classes": 2,
        "train_images": 9,
        "test_images": 5,
        "duplicates": 0,
        "repeated_train": 1,
        "repeated_test": 0,
        "skipped": 0,
    }
    assert _table(tmp_path, "datasets", run) == {
        "columns": ["name", "train", "test"],
        "data": [["a", 5, 2], ["b", 4, 3]],
    }


def test_a_teacher_with_its_curve_once(store: Store) -> None:
    curve = [EpochEvaluation(2, 30.0, 2.0), EpochEvaluation(4, 43.5, 1.5)]
    first = log_teacher(store, LINEAGE, card=CARD, recipe=RECIPE, evaluations=curve, losses=[3.0, 2.5, 2.0, 1.5])
    run = store.client.get_run(first)
    assert run.data.metrics["accuracy"] == 43.5
    assert run.data.params["augmentation.crop_padding"] == str(RECIPE.augmentation.crop_padding)
    assert run.data.tags["teacher_id"] == CARD.teacher_id
    assert run.inputs.dataset_inputs[0].dataset.digest == CARD.data_id
    history = store.client.get_metric_history(first, "test/accuracy")
    assert [(point.step, point.value) for point in history] == [(2, 30.0), (4, 43.5)]
    assert len(store.client.get_metric_history(first, "train/loss")) == 4
    assert log_teacher(store, LINEAGE, card=CARD, recipe=RECIPE) == first  # a rerun no longer knows the curve
    assert log_teacher(store, LINEAGE, card=replace(CARD, teacher_id="999999999999"), recipe=RECIPE) != first


def test_students_are_one_table_and_the_failed_are_in_no_mean(store: Store, tmp_path: Path) -> None:
    failed = replace(RECORD, arch_id="a0", final_accuracy=float("nan"), best_accuracy=float("nan"), failure="diverged")
    records = [RECORD, replace(RECORD, arch_id="a2", final_accuracy=44.0), failed]
    run = store.client.get_run(log_students(store, LINEAGE, task="split0", records=records))
    assert run.data.metrics == {
        "students": 2,
        "failed": 1,
        "seconds": 18.0,
        "accuracy_mean": 42.0,
        "accuracy_std": pytest.approx(2.8284271),
        "accuracy_best": 44.0,
        "accuracy_worst": 40.0,
    }
    table = _table(tmp_path, "students", run)
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [(row["arch_id"], row["final_accuracy"]) for row in rows] == [("a0", None), ("a1", 40.0), ("a2", 44.0)]
    assert log_students(store, LINEAGE, task="split0", records=records[::-1]) == run.info.run_id


@pytest.mark.parametrize("records", [[], [replace(RECORD, failure="diverged")], [RECORD]])
def test_no_or_one_student_is_no_trouble(store: Store, records: list[StudentRecord]) -> None:
    run = store.client.get_run(log_students(store, LINEAGE, task="split0", records=records))
    assert run.data.metrics["students"] + run.data.metrics["failed"] == len(records)


def test_a_predictor_with_its_checkpoint(store: Store, tmp_path: Path, make_predictor: Callable[..., Path]) -> None:
    path = make_predictor()
    settings = Predictor(episodes=40, query=4, inner_steps=1, inner_rate=0.005, learning_rate=5e-4, validate_every=20)
    history = [Validation(20, 1.0, 0.4), Validation(40, 0.8, 0.5)]
    run_id = log_predictor(
        store, LINEAGE, card=load_predictor(path)[1], settings=settings, history=history, checkpoint=path
    )
    run = store.client.get_run(run_id)
    assert run.data.metrics["validation_src"] == 0.5
    assert [p.value for p in store.client.get_metric_history(run_id, "validation/src")] == [0.4, 0.5]
    assert run.data.tags["predictor_id"] == file_id(path)
    folder = store.client.download_artifacts(run_id, "", str(tmp_path))
    rates = load_predictor(Path(folder) / path.name)[0].rates
    assert all(bool((rate == 0.005).all()) for rate in rates.values())


def test_a_target_and_its_true_ranking_later(store: Store, tmp_path: Path) -> None:
    picture = tmp_path / "pareto.png"
    picture.write_bytes(b"\x89PNG")
    pick = Candidate(ARCHITECTURE, 41.5, cost(ARCHITECTURE, 16, 2))
    found = SearchResult(
        "split0", CARD.teacher_id, CARD.accuracy, "123456abcdef", Constraints(max_macs=4.0), pick,
        (pick, *(replace(pick, score=score) for score in (40.0, 39.0))), 3.0,
    )  # fmt: skip
    common = {"teacher": CARD, "found": found, "top": 2, "files": (picture,)}
    alone = store.client.get_run(log_target(store, LINEAGE, **common))
    assert "src" not in alone.data.metrics
    assert (alone.data.params["candidates"], alone.data.metrics["seconds"]) == ("3", 3.0)
    assert (alone.data.params["max_macs"], alone.data.params["max_params"]) == ("4.0", "None")
    assert [row[3] for row in _table(tmp_path, "targets", alone)["data"]] == [41.5, 40.0]
    add_correlation(store, alone.info.run_id, src=Estimate(0.7, 0.5, 0.85, 20), files=[picture])
    known = store.client.get_run(alone.info.run_id)
    src = {name: value for name, value in known.data.metrics.items() if name.startswith("src")}
    assert src == {"src": 0.7, "src_low": 0.5, "src_high": 0.85, "src_students": 20}
    assert log_target(store, LINEAGE, **common) == alone.info.run_id
    assert log_target(store, LINEAGE, **{**common, "top": 1}) != alone.info.run_id


def test_a_run_of_another_store_or_a_deleted_one_is_not_there(store: Store) -> None:
    run_id = log_teacher(store, LINEAGE, card=CARD, recipe=RECIPE)
    assert has_run(store, run_id)
    assert not has_run(store, run_id[::-1])
    store.client.delete_run(run_id)
    assert not has_run(store, run_id)


def test_an_evaluation_has_a_nested_run_for_each_method(store: Store) -> None:
    rows = [
        CorrelationRow("dass", "dtd", "src", 0.6, 0.3, 0.8, 20),
        CorrelationRow("dass", "mean", "src", 0.7, 0.4, 0.8, 20),
        CorrelationRow("macs", "dtd", "src", 0.4, 0.1, 0.6, 20),
        CorrelationRow("macs", "dtd", "src_difference", -0.2, -0.4, 0.1, 20),
        CorrelationRow("macs", "dtd", "architecture_seconds", 0.25, 0.2, 0.3, 20),
    ]
    picks = [PickRow("macs", "dtd", seed, accuracy, 1, 1, "a") for seed, accuracy in ((0, 40.0), (1, 42.0))]
    methods = [MethodRun("dass", "meta", 3), MethodRun("macs", "trivial", 1)]

    def log(rows: list[CorrelationRow]) -> str:
        return log_evaluation(store, LINEAGE, preset="demo", reference="dass", methods=methods, rows=rows, picks=picks)

    outer = store.client.get_run(log(rows))
    assert outer.data.metrics == {
        "src/dtd": 0.6, "src/dtd_low": 0.3, "src/dtd_high": 0.8, "src/mean": 0.7, "src/mean_low": 0.4,
        "src/mean_high": 0.8,
    }  # fmt: skip
    assert (outer.data.params["targets"], outer.data.params["methods"]) == ("dtd", "2")
    nested = store.client.search_runs(
        [store.experiment_id("evaluation")], f"tags.`mlflow.parentRunId` = '{outer.info.run_id}'"
    )
    assert {run.info.run_name for run in nested} == {"dass", "macs"}
    [macs] = [run for run in nested if run.info.run_name == "macs"]
    assert (macs.data.params["group"], macs.data.params["seeds"]) == ("trivial", "1")
    assert macs.data.metrics["src_difference/dtd"] == -0.2
    assert macs.data.metrics["pick_accuracy/dtd"] == 41
    assert macs.data.metrics["dtd/architecture_seconds"] == 0.25

    slower = [*rows[:-1], replace(rows[-1], value=0.9)]
    assert log(slower) == outer.info.run_id  # the same result, however long it took
    better = [*rows[:2], replace(rows[2], value=0.5), *rows[3:]]
    assert log(better) != outer.info.run_id  # whatever the reference's own numbers


def _table(root: Path, kind: str, run: object) -> dict:
    return json.loads((root / "mlartifacts" / kind / run.info.run_id / "artifacts" / f"{kind}.json").read_text())
