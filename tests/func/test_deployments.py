"""Runs started as a person starts them from Prefect's page: real server, real worker, real work on tiny sizes."""

import json
import re
import signal
import subprocess
import sys
from typing import Any

import httpx
import pytest
import yaml

from dass.fidelity import FIDELITIES
from dass.project import Project
from dass.students.database import StudentDatabase
from flows.serve import deploy
from tests.func.served import TEACHER, Served, table, until

NAMES = {"pipeline", "search-students", "distil-student", "build-database", "meta-train"}
pytestmark = [pytest.mark.timeout(600), pytest.mark.service]  # three minutes on two cores


def test_every_deployment_says_what_it_does_and_what_it_takes(served: Served) -> None:
    deployments = served.deployments()
    assert (
        set(deployments)
        == NAMES
        == {item["name"] for item in yaml.safe_load(_read(served, "prefect.yaml"))["deployments"]}
    )
    for deployment in deployments.values():
        assert len(deployment["description"]) > 40
        assert deployment["tags"]
        assert deployment["enforce_parameter_schema"]
        assert deployment["global_concurrency_limit"]["limit"] in {1, 2}
        properties = deployment["parameter_openapi_schema"]["properties"]
        assert properties
        for name, about in properties.items():
            assert len(about.get("description", "")) > 8, (deployment["name"], name)
            assert "type" in about or "anyOf" in about


def test_schedules_made_on_the_page_outlive_a_restart(served: Served) -> None:
    deployment = served.deployments()["pipeline"]
    assert deployment["schedules"] == []
    nightly = {"schedule": {"cron": "0 3 * * *", "timezone": "UTC"}, "active": True}
    served.answer(f"deployments/{deployment['id']}/schedules", [nightly]).raise_for_status()
    deploy(served.sandbox.root, served.sandbox.environment | {"PREFECT_API_URL": f"{served.prefect}/api"})
    [schedule] = served.deployments()["pipeline"]["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 3 * * *", True)
    httpx.delete(
        f"{served.prefect}/api/deployments/{deployment['id']}/schedules/{schedule['id']}", timeout=60
    ).raise_for_status()


def test_a_search_ranks_distils_registers_and_leaves_it_on_its_page(served: Served) -> None:
    run = served.run(
        "search-students",
        dataset="digits",
        teacher=TEACHER,
        max_macs=0.3,
        candidates=30,
        top=5,
        then="register",
        expect_accuracy=0,
    )
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    left = served.artifacts(run)
    rows = table(left["table"])
    assert len(rows) == 5
    assert all(row["M MACs"] <= 0.3 for row in rows)
    assert [row["predicted accuracy"] for row in rows] == sorted(
        (row["predicted accuracy"] for row in rows), reverse=True
    )
    picture = httpx.get(left["image"]["data"], timeout=60)
    assert picture.content.startswith(b"\x89PNG")
    assert left["progress"]["data"] == 100
    summary = next(text for text in _markdown(served, run) if "MLflow run" in text)
    assert "Distilled:" in summary
    model = re.search(r"models:/(dass-student-digits)/(\d+)", summary)
    assert model
    version = _mlflow(served, "model-versions/get", name=model[1], version=model[2])["model_version"]
    link = re.search(r"\((http\S+)\)", summary)
    assert link
    assert link[1].startswith(served.mlflow)
    found = _mlflow(served, "runs/get", run_id=link[1].rsplit("/", 1)[1].partition("?")[0])["run"]
    assert version["run_id"] == found["info"]["run_id"]
    assert f"/experiments/{found['info']['experiment_id']}/" in link[1]
    files = {file["path"] for file in _mlflow(served, "artifacts/list", run_id=version["run_id"])["files"]}
    assert {"pareto.png", "search.json", "digits.safetensors", "digits.json"} <= files
    assert "distilled_accuracy" in {metric["key"] for metric in found["data"]["metrics"]}


def test_a_search_by_the_predictor_within_seconds_shows_its_proxies_and_registers_its_pick(served: Served) -> None:
    run = served.run(
        "search-students", dataset="digits", teacher=TEACHER, max_macs=0.3, candidates=30, top=30, then="register",
        method="multi_fidelity", seconds=20, expect_accuracy=0,
    )  # fmt: skip
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    rows = table(served.artifacts(run)["table"])
    proxies = {row["fidelity"] for row in rows}
    assert proxies <= {one.label for one in FIDELITIES}
    assert any(label.endswith("steps") for label in proxies)
    assert all(" to " in row["80% interval"] for row in rows)
    summary = next(text for text in _markdown(served, run) if "MLflow run" in text)
    model = re.search(r"models:/(dass-student-digits)/(\d+)", summary)
    assert model
    version = _mlflow(served, "model-versions/get", name=model[1], version=model[2])["model_version"]
    files = {file["path"] for file in _mlflow(served, "artifacts/list", run_id=version["run_id"])["files"]}
    assert {"pareto.png", "search.json", "digits.safetensors"} <= files


def test_a_student_is_made_within_minutes_in_tasks_and_filed_with_its_page(served: Served) -> None:
    """What `dass shrink` does, each step a task; limits that other ways of searching have are refused beside it."""
    run = served.run(
        "search-students", dataset="digits", teacher=TEACHER, max_macs="60%", max_size="1MB", max_latency="10s",
        keep_accuracy=90, minutes=0.3, expect_accuracy=0,
    )  # fmt: skip
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    tasks = " ".join(served.tasks(run))
    for step in ("search", "plan", "distil", "answer test images", "file the student", "record the report"):
        assert step in tasks
    left = served.artifacts(run)
    assert {row[""] for row in table(left["table"])} == {"searched", "pick", "teacher"}
    assert httpx.get(left["image"]["data"], timeout=60).content.startswith(b"\x89PNG")
    summary = next(text for text in _markdown(served, run) if "MLflow run" in text)
    model = re.search(r"models:/(dass-student-digits)/(\d+)", summary)
    assert model
    version = _mlflow(served, "model-versions/get", name=model[1], version=model[2])["model_version"]
    files = {file["path"] for file in _mlflow(served, "artifacts/list", run_id=version["run_id"])["files"]}
    assert {"report.html", "front.png"} <= files
    refused = served.run("search-students", dataset="digits", teacher=TEACHER, minutes=1, method="dass", seconds=3)
    assert refused["state_type"] == "FAILED"
    assert "method, seconds" in refused["state"]["message"]


def test_the_ranking_s_architecture_can_be_distilled(served: Served) -> None:
    architecture = json.dumps({"widths": [[2, 4], [8], [8], [8, 16]]})
    run = served.run(
        "distil-student", dataset="digits", teacher=TEACHER, architecture=architecture, seed=3, expect_accuracy=0
    )
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    assert "reached" in served.artifacts(run)["markdown"]["data"]


@pytest.mark.parametrize(
    ("deployment", "parameters", "named"),
    [
        ("search-students", {"dataset": "digits"}, "teacher"),
        ("search-students", {"dataset": "digits", "teacher": "teacher.zip"}, "teacher"),
        ("search-students", {"dataset": "digits", "teacher": TEACHER, "max_macs": -1}, "max_macs"),
        ("search-students", {"dataset": "digits", "teacher": TEACHER, "candidates": 0}, "candidates"),
        ("search-students", {"dataset": "digits", "teacher": TEACHER, "then": "sell"}, "then"),
        ("search-students", {"dataset": "digits", "teacher": TEACHER, "seconds": 0}, "seconds"),
        ("search-students", {"dataset": "digits", "teacher": TEACHER, "expect_accuracy": 101}, "expect_accuracy"),
        ("distil-student", {"dataset": "digits", "teacher": TEACHER, "architecture": "large"}, "architecture"),
        ("build-database", {"count": "many"}, "count"),
        ("meta-train", {"episodes": 1.5}, "episodes"),
        ("pipeline", {"preset": "huge"}, "preset"),
    ],
)
def test_the_server_refuses_what_the_form_would(
    served: Served, deployment: str, parameters: dict[str, Any], named: str
) -> None:
    before = served.ask("flow_runs/count", {})
    answer = served.start(deployment, **parameters)
    assert answer.status_code == 409
    assert named in answer.json()["detail"]
    assert served.ask("flow_runs/count", {}) == before


def test_what_only_the_worker_can_know_fails_in_one_line_before_any_work(served: Served) -> None:
    task = {"dataset": "digits", "teacher": TEACHER, "expect_accuracy": 0}
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("search-students", task | {"teacher": "no.pt"}, "there is no checkpoint at"),
        ("search-students", task | {"dataset": "my/own.zip"}, "my/own.zip: neither a packed dataset"),
        (
            "distil-student",
            task | {"architecture": '{"widths": [[4], [8], [8], [8]]}'},
            "must end at its full width 16",
        ),
        ("build-database", {"of": "nothing"}, "params.yaml has no target 'nothing'"),
        ("pipeline", {"until": "nowhere"}, "there is no stage 'nowhere': there are names, dataset@glyphs"),
    ]
    started = [served.start(name, **parameters).raise_for_status().json()["id"] for name, parameters, _ in wrong]
    for run, (_, _, line) in zip(map(served.wait, started), wrong, strict=True):
        assert run["state_type"] == "FAILED"
        assert line in run["state"]["message"]
        assert served.tasks(run) == []


def test_a_cancelled_database_keeps_what_was_done_and_goes_on_and_is_learned_from(served: Served) -> None:
    started = served.start("build-database", of="source", count=30).raise_for_status().json()["id"]
    until(lambda: len(_records(served)) >= 3, 120, "three records")
    assert served.active_slots("dvc") == 1
    assert any("dass.training.workers" in command for command in served.processes())
    served.ask(f"flow_runs/{started}/set_state", {"state": {"type": "CANCELLING"}})
    assert served.wait(started)["state_type"] == "CANCELLED"
    until(lambda: served.processes() == [], 10, "its processes to end")
    assert served.active_slots("dvc") == 0
    kept = _records(served)
    assert 3 <= len(kept) < 90

    run = served.run("build-database", of="source", count=12)
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    now = _records(served)
    assert kept.items() <= now.items()  # the same records, not trained again
    rows = table(served.artifacts(run)["table"])
    assert [(row["task"], row["students"], row["failed"]) for row in rows] == [
        ("split0", 12, 0), ("split1", 12, 0), ("split2", 12, 0),
    ]  # fmt: skip

    run = served.run("meta-train", episodes=10, champion=True)
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    assert [row["episode"] for row in table(served.artifacts(run)["table"])] == [5, 10]
    champion = _mlflow(served, "registered-models/alias", name="dass-predictor", alias="champion")["model_version"]
    assert {tag["key"]: tag["value"] for tag in champion["tags"]}["promotion.reason"] == "asked for when it was trained"


def test_the_pipeline_runs_until_a_stage_and_its_stages_runs_are_found_by_its_name(served: Served) -> None:
    run = served.run("pipeline", until="splits")
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    tagged = served.ask("flow_runs/filter", {"flow_runs": {"tags": {"all_": [run["name"]]}}})
    assert {stage["state_type"] for stage in tagged} == {"COMPLETED"}
    assert "splits" in _read(served, "dvc.lock")
    assert _read(served, ".dvc/tmp/rwlock") == "{}"


def test_the_slot_of_a_killed_run_is_freed_by_one_command(served: Served) -> None:
    hold = (
        "import time\nfrom flows.infrastructure.slots import dvc_slot\n"
        "with dvc_slot():\n print('held', flush=True)\n time.sleep(99)"
    )
    environment = {**served.sandbox.environment, "PREFECT_API_URL": f"{served.prefect}/api"}
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], cwd=served.sandbox.root, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert served.active_slots("dvc") == 1
    said = subprocess.run(
        [sys.executable, "-m", "flows.infrastructure.slots"], cwd=served.sandbox.root, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "freed: dvc\n"
    assert served.active_slots("dvc") == 0


def _records(served: Served) -> dict:
    """Identity and time of each record of the source tasks; every file must be whole."""
    database = StudentDatabase(Project.open(served.sandbox.root).source_students)
    return {record.identity: record.finished_at for task in database.tasks() for record in database.read_all(task)}


def _markdown(served: Served, run: dict[str, Any]) -> list[str]:
    found = served.ask("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
    return [artifact["data"] for artifact in found if artifact["type"] == "markdown"]


def _mlflow(served: Served, what: str, **parameters: str) -> Any:
    return httpx.get(f"{served.mlflow}/api/2.0/mlflow/{what}", params=parameters, timeout=60).raise_for_status().json()


def _read(served: Served, name: str) -> str:
    return (served.sandbox.root / name).read_text()
