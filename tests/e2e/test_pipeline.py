"""The whole pipeline, with its real parts, on tiny sizes."""

import csv
import json
import os
import shutil
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from dass.datasets.packed import open_packed
from dass.method_names import method_label
from dass.sealed import SEAL, sealed
from dass.students.database import StudentDatabase
from dass.students.record_file import read_records
from tests.e2e.sandbox import Sandbox, every_record

pytestmark = pytest.mark.timeout(1200)  # minutes where cores are shared

ALL = [
    "names", "dataset@glyphs", "dataset@digits", "splits", "teachers", "students", "meta_train", "multi_fidelity",
    "teacher@digits", "target_students@digits", "search@digits", "distil@digits", "register@digits", "rank", "evaluate",
]  # fmt: skip


def test_every_stage_runs_once_and_a_new_target_redoes_nothing_of_the_source_side(sandbox: Sandbox) -> None:
    values = sandbox.params()
    values["evaluation"] |= {
        "methods": ["dass", "maml", "naswot", "parameters", "depth", "multifidelity_steps5", "few_shot_1",
                    "few_shot_3"],
        "seeds": 2, "picks": ["dass", "parameters", "depth"], "pick_seeds": 2,
    }  # fmt: skip
    sandbox.set_params(values)
    assert sorted(sandbox.repro()) == sorted(ALL)
    assert sandbox.repro() == []
    check_reports(sandbox)
    check_comparison(sandbox)
    check_what_an_evaluation_stands(sandbox)
    check_registry(sandbox)
    check_study(sandbox)
    check_multi_fidelity(sandbox)
    source = (sandbox.root / "data/students/source/split0.parquet").read_bytes()

    values["targets"]["again"] = {"dataset": "digits", "evaluate": False}
    sandbox.set_params(values)
    ran = sandbox.repro()
    assert {name for name in ran if "@" in name} == {
        f"{stage}@again" for stage in ("teacher", "target_students", "search", "distil", "register")
    }
    assert set(ran) - {name for name in ran if "@" in name} == {"names", "rank", "evaluate"}
    assert (sandbox.root / "data/students/source/split0.parquet").read_bytes() == source

    values["search"]["method"] = "multi_fidelity"
    del values["targets"]["again"]
    sandbox.set_params(values)
    assert {"search@digits", "rank", "evaluate"} <= set(sandbox.repro())
    check_search_by_multi_fidelity(sandbox)
    check_lengths(sandbox)

    values["students"]["per_source"] += 2
    sandbox.set_params(values)
    before = {record.identity: record.finished_at for record in records(sandbox, "split1")}
    sandbox.repro("students")
    after = {record.identity: record.finished_at for record in records(sandbox, "split1")}
    assert len(after) == len(before) + 2
    assert before.items() <= after.items()
    check_restored_study(sandbox)


def check_reports(sandbox: Sandbox) -> None:
    """Every table has what its heading promises."""
    with (sandbox.root / "reports/correlations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"method", "target", "metric", "value", "low", "high", "n"} <= set(rows[0])
    [src] = [row for row in rows if (row["method"], row["target"], row["metric"]) == ("dass", "digits", "src")]
    assert int(src["n"]) == 5
    assert -1 <= float(src["low"]) <= float(src["value"]) <= float(src["high"]) <= 1
    with (sandbox.root / "reports/picks.csv").open() as file:
        assert {"method", "target", "seed", "accuracy", "macs", "parameters", "architecture"} <= set(
            next(csv.DictReader(file))
        )
    table = sandbox.run("python", "-m", "dass.cli.main", "report").stdout
    assert "digits" in table
    assert "n=5" in table


def check_study(sandbox: Sandbox) -> None:
    """What a study leaves can be taken back in, and says how it was made."""
    sandbox.run("python", "-m", "dass.cli.main", "study", "save", "study", "--teachers")
    folder = sandbox.root / "study"
    text = (folder / "README.md").read_text()
    assert "seed 0; 17 students of 4 teachers" in text
    assert "| digits | 5 |" in text
    assert len(list((folder / "splits").iterdir())) == 3
    back = sandbox.run("python", "-m", "dass.cli.main", "students", "import", "source", "study/records/source.parquet")
    assert "0 records added, 12 known already" in back.stdout

    path = sandbox.root / "data/students/source/split0.parquet"
    before, told = path.read_bytes(), (folder / "README.md").read_bytes()
    stranger = replace(records(sandbox, "split0")[0], teacher_id="another")
    StudentDatabase(path.parent).append("split0", [stranger])
    for name in ("evolve.md", "records/gone.parquet"):
        (folder / name).write_text("of an earlier study")
    sandbox.run("python", "-m", "dass.cli.main", "study", "save", "study", "--teachers")
    assert (folder / "README.md").read_bytes() == told
    assert not (folder / "evolve.md").exists()
    assert {one.name for one in (folder / "records").iterdir()} == {"source.parquet", "digits.parquet"}
    path.write_bytes(before)


def check_restored_study(sandbox: Sandbox) -> None:
    """A project without teachers and students takes a study's and trains none of them again."""
    files = [*(sandbox.root / "data" / "teachers").rglob("*.safetensors")]
    files += (sandbox.root / "data" / "students").rglob("*.parquet")
    before = {path: path.read_bytes() for path in files}
    sandbox.run("python", "-m", "dass.cli.main", "study", "save", "kept", "--teachers")
    for name in ("teachers", "students"):
        shutil.rmtree(sandbox.root / "data" / name)
    sandbox.run("python", "-m", "dass.cli.main", "study", "restore", "kept")
    sandbox.repro("teachers", "students", "teacher", "target_students")
    own = {path: content for path, content in before.items() if path.exists()}
    assert len(own) >= 4 + 2
    assert all(path.read_bytes() == content for path, content in own.items() if path.suffix == ".safetensors")
    for path in own:
        if path.suffix == ".parquet":
            times = {record.finished_at for record in read_records(path)}
            path.write_bytes(before[path])
            assert times <= {record.finished_at for record in read_records(path)}


def check_multi_fidelity(sandbox: Sandbox) -> None:
    """A search by the multi-fidelity predictor gives intervals, and proxies in proportion to promise."""
    found = sandbox.run(
        "python", "-m", "dass.cli.main", "search", "--data", "digits", "--teacher",
        "data/teachers/targets/digits/digits.safetensors", "--method", "multi_fidelity",
        "--candidates", "30", "--one-batch", "8",
        "--k-step", "4", "--top", "30", "--latency", "--json",
    )  # fmt: skip
    ranking = json.loads(found.stdout)["ranking"]
    keys = [item["fidelity"] for item in ranking]
    assert {key: keys.count(key) for key in keys} == {
        "noise": 22, "one_batch": 4, "steps10": 2, "steps20": 1, "steps50": 1
    }  # fmt: skip
    assert all(item["low"] < item["predicted_accuracy"] < item["high"] and item["latency_ms"] > 0 for item in ranking)


def check_search_by_multi_fidelity(sandbox: Sandbox) -> None:
    """Its pick goes under its own name, beside what DaSS would have picked."""
    with (sandbox.root / "reports/picks.csv").open() as file:
        methods = {pick["method"] for pick in csv.DictReader(file) if pick["target"] == "digits"}
    assert methods == {"teacher", "multi_fidelity", "dass", "parameters", "depth"}
    found = json.loads((sandbox.root / "data/search/digits/search.json").read_text())
    assert found["pick"]["fidelity"]
    assert {candidate["fidelity"] for candidate in found["ranking"]} >= {"noise", "one_batch"}


def check_lengths(sandbox: Sandbox) -> None:
    """Each kind of proxies are held against both lengths, and DVC has nothing to do for it."""
    sandbox.run("python", "-m", "experiments.lengths", "2", "4", "digits")
    with (sandbox.root / "reports/lengths.csv").open() as file:
        rows = list(csv.DictReader(file))
    wheres = list(dict.fromkeys(row["target"] for row in rows))
    steps = [int(where.removeprefix("digits, ").removesuffix(" steps")) for where in wheres]
    assert steps[1] == 2 * steps[0]
    for where in wheres:
        own = {row["method"]: row for row in rows if row["target"] == where}
        assert {"log_parameters", "noise_cosine", "similarity_4", "steps50_kd_loss", "dass"} <= set(own)
        assert {row["n"] for row in own.values()} == {"4"}
    assert len(StudentDatabase(sandbox.root / "data/lengths/digits").read_all("digits")) == 4
    assert sandbox.repro() == []
    assert "digits, " in (sandbox.root / "reports/lengths.md").read_text()


def check_comparison(sandbox: Sandbox) -> None:
    """Every method is in the tables, picks are distilled once each, and only scores that are missing are made anew."""
    reports = sandbox.root / "reports"
    with (reports / "correlations.csv").open() as file:
        rows = list(csv.DictReader(file))
    src = {row["method"] for row in rows if (row["target"], row["metric"]) == ("digits", "src")}
    assert src == {"dass", "maml", "naswot", "parameters", "depth", "multifidelity_steps5"}
    [covered] = [row for row in rows if row["metric"] == "covered_80"]
    assert covered["method"] == "multifidelity_steps5"
    metrics = {row["metric"] for row in rows if row["method"] == "maml"}
    assert metrics >= {"kendall", "partial_src", "src_loss", "regret", "precision_at_5", "src_difference",
                       "src_seed_deviation", "architecture_seconds"}  # fmt: skip
    with (reports / "few_shot.csv").open() as file:
        assert [row["shots"] for row in csv.DictReader(file)] == ["0", "1"]  # three of five would be too many
    with (reports / "picks.csv").open() as file:
        picks = list(csv.DictReader(file))
    assert {(pick["method"], pick["seed"]) for pick in picks} == {
        ("teacher", "0"), *((method, seed) for method in ("dass", "parameters", "depth") for seed in "01")
    }  # fmt: skip
    distilled = StudentDatabase(sandbox.root / "data/picks").read_all("digits")
    architectures = {pick["architecture"] for pick in picks if pick["method"] != "teacher"}
    assert len({record.identity for record in distilled}) == len(distilled) < 2 * len(architectures)
    text = (reports / "tables.md").read_text()
    assert all(f"| {method_label(method)} |" in text for method in src)
    assert "**The best baseline on each target**\n\n- digits" in text
    assert {path.name for path in (reports / "figures").iterdir()} == {
        "table-2.png", "table-3.png", "table-4.png", "figure-3.png",
        *(["multi_fidelity.png"] if any(row["target"] == "mean" for row in rows) else []),
    }  # fmt: skip

    path = sandbox.root / "data/scores/digits.json"
    before = {(item["method"], item["sample"], item["seed"]): item for item in json.loads(path.read_text())}
    path.write_text(json.dumps([item for item in before.values() if item["method"] != "maml"]))
    assert sandbox.repro("rank") == ["rank"]
    after = {(item["method"], item["sample"], item["seed"]): item for item in json.loads(path.read_text())}
    assert after.keys() == before.keys()
    for place, item in after.items():  # times tell what was done anew
        assert (item["seconds"] == before[place]["seconds"]) == (place[0] != "maml")
        assert item["values"] == before[place]["values"]

    found = sandbox.run(
        "python", "-c",
        "import mlflow\n"
        "client = mlflow.MlflowClient('sqlite:///mlflow.db')\n"
        "experiment = client.get_experiment_by_name('dass/evaluation').experiment_id\n"
        "runs = client.search_runs([experiment])\n"
        "print(sorted(run.info.run_name for run in runs if 'mlflow.parentRunId' in run.data.tags))",
    )  # fmt: skip
    assert found.stdout.splitlines()[-1] == str(sorted(src))


def check_what_an_evaluation_stands(sandbox: Sandbox) -> None:
    """A seed that failed takes its method down and no more; a tracking store that knows no search is told of."""
    path, table = sandbox.root / "data/scores/digits.json", sandbox.root / "reports/correlations.csv"
    before = path.read_bytes()
    items = json.loads(before)
    for item in items:
        if (item["method"], item["sample"], item["seed"]) == ("dass", "students", 1):
            item |= {"values": [], "failure": "meta-training diverged"}
    path.write_text(json.dumps([sealed({key: one for key, one in item.items() if key != SEAL}) for item in items]))
    sandbox.run("python", "-m", "flows.stages.evaluate")
    with table.open() as file:
        methods = {row["method"] for row in csv.DictReader(file) if (row["target"], row["metric"]) == ("digits", "src")}
    assert "maml" in methods and "dass" not in methods
    assert "meta-training diverged" in (sandbox.root / "reports/tables.md").read_text()
    path.write_bytes(before)
    elsewhere = sandbox.environment | {"MLFLOW_TRACKING_URI": "sqlite:///elsewhere.db"}
    said = replace(sandbox, environment=elsewhere).run("python", "-m", "flows.stages.evaluate")
    assert "does not know the search of digits: `dvc repro -f -s register@digits` files it" in said.stdout + said.stderr


def check_registry(sandbox: Sandbox) -> None:
    """The registered student loads by its alias in a fresh process and answers for images; trace finds its way."""
    images = open_packed(sandbox.root / "data/raw/digits-16").test_images[:3]
    np.save(sandbox.root / "images.npy", images)
    answer = sandbox.run(
        "python", "-c",
        "import mlflow, numpy\n"
        "mlflow.set_tracking_uri('sqlite:///mlflow.db')\n"
        "model = mlflow.pyfunc.load_model('models:/dass-student-digits@champion')\n"
        "print(model.predict(numpy.load('images.npy')).to_json())",
    )  # fmt: skip
    frame = json.loads(answer.stdout.splitlines()[-1])
    assert len(frame["class"]) == 3
    assert set(frame["class"].values()) <= set("0123456789")
    assert all(0 <= probability <= 1 for probability in frame["probability"].values())
    traced = sandbox.run("python", "-m", "dass.cli.main", "trace", "models:/dass-student-digits@champion", "--json")
    trace = json.loads(traced.stdout)
    assert trace["commit"] == sandbox.run("git", "rev-parse", "HEAD").stdout.strip()
    assert {item["path"] for item in trace["data"]} >= {"data/predictor", "data/teachers/targets/digits"}
    sandbox.run("python", "-m", "dass.cli.main", "trace", "models:/dass-predictor@champion")


def test_killed_in_the_student_stage_it_keeps_every_record_and_doubles_none(sandbox: Sandbox) -> None:
    sandbox = replace(sandbox, environment=sandbox.environment | {"DASS_WORKERS": "2"})
    values = sandbox.params()
    values["students"]["per_source"] = 8
    sandbox.set_params(values)
    sandbox.repro("teachers")
    seen: dict = {}
    for wanted in (3, 10):
        stage = sandbox.start("dvc", "repro", "students")
        until = time.monotonic() + 120
        while len(found := every_record(sandbox)) < wanted:
            assert time.monotonic() < until, f"{len(found)} records after two minutes"
            time.sleep(0.05)
        os.killpg(stage.pid, signal.SIGKILL)
        stage.wait()
        time.sleep(1.5)  # workers notice within half a second that their parent is gone
        found = every_record(sandbox)
        assert seen.items() <= found.items()
        seen = found
    assert 0 < len(seen) < 24
    assert sandbox.repro("students") == ["students"]
    done = every_record(sandbox)
    assert seen.items() <= done.items()
    assert len(done) == 24
    for task in ("split0", "split1", "split2"):
        assert len({record.identity for record in records(sandbox, task)}) == len(records(sandbox, task)) == 8


def records(sandbox: Sandbox, task: str) -> list:
    """All records of a source task."""
    return StudentDatabase(sandbox.root / "data/students/source").read_all(task)
