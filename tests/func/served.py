"""A throw-away project under `make serve`, with models that never learned anything: ready at once, real otherwise."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import torch
from safetensors.torch import save_file

from dass.datasets.importing import import_dataset
from dass.datasets.packed import load_target, open_packed
from dass.datasets.splits import load_split, make_splits, write_split
from dass.datasets.task_data import TaskData
from dass.fidelity import Fidelity
from dass.multi_fidelity.checkpoint import MultiFidelityCard, save_multi_fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor, MultiFidelityTask
from dass.networks.checkpoint import save_teacher
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.checkpoint import PredictorCard, save_predictor
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import MetaPredictor
from dass.predictor.tasks import TargetScale
from dass.project import Project
from dass.proxies.recipe_facts import recipe_facts
from dass.proxies.registry import columns_at
from dass.proxies.table import ProxyTable
from dass.space.search_space import SearchSpace
from dass.training.user_teacher import TeacherFile, bring_in_teacher
from tests.e2e.sandbox import Sandbox

TEACHER = "data/teachers/targets/digits/digits.safetensors"
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass(frozen=True)
class Served:
    """A project that is being served.

    Attributes:
        sandbox: the project.
        prefect: address of Prefect's page.
        mlflow: address of MLflow's page.
    """

    sandbox: Sandbox
    prefect: str
    mlflow: str

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What Prefect's API answers: to a POST where there is a body, else to a GET."""
        return self.answer(path, body).raise_for_status().json()

    def answer(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """As `ask`, whatever the status; a server that is busy is asked again, as Prefect's own client does."""
        address = f"{self.prefect}/api/{path}"
        for _ in range(20):
            answer = httpx.get(address, timeout=60) if body is None else httpx.post(address, json=body, timeout=60)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        return answer

    def deployments(self) -> dict[str, dict[str, Any]]:
        """The deployments by name."""
        return {deployment["name"]: deployment for deployment in self.ask("deployments/filter", {})}

    def start(self, deployment: str, **parameters: Any) -> httpx.Response:
        """Asks for a run, as the page's form does."""
        name = self.deployments()[deployment]["id"]
        return self.answer(f"deployments/{name}/create_flow_run", {"parameters": parameters})

    def run(self, deployment: str, **parameters: Any) -> dict[str, Any]:
        """Starts a run and waits for its end."""
        return self.wait(self.start(deployment, **parameters).raise_for_status().json()["id"])

    def wait(self, run: str, seconds: float = 200) -> dict[str, Any]:
        """Waits for a run's end."""
        until(lambda: self.ask(f"flow_runs/{run}")["state_type"] in FINAL, seconds, f"run {run} to end")
        return self.ask(f"flow_runs/{run}")

    def artifacts(self, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """What a run left on its page, by type; its kept result left out."""
        found = self.ask("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
        return {artifact["type"]: artifact for artifact in found if artifact["key"]}

    def tasks(self, run: dict[str, Any]) -> list[str]:
        """Names of the tasks that a run came to."""
        found = self.ask("task_runs/filter", {"task_runs": {"flow_run_id": {"any_": [run["id"]]}}})
        return [task["name"] for task in found]

    def processes(self) -> list[str]:
        """Commands that are at work in the project's folder: those of flows, stages and their workers."""
        found = []
        for process in psutil.process_iter():
            try:
                command = " ".join(process.cmdline())
                if process.cwd() == str(self.sandbox.root) and any(
                    part in command
                    for part in ("prefect.engine", "prefect.flow_engine", "dass.training.workers", " dvc ")
                ):
                    found.append(command)
            except psutil.Error:
                continue
        return found

    def active_slots(self, limit: str) -> int:
        """How many slots of a limit are taken."""
        limits = self.ask("v2/concurrency_limits/filter", {})
        return {item["name"]: item["active_slots"] for item in limits}.get(limit, 0)


@contextmanager
def serving(sandbox: Sandbox, log: Path) -> Iterator[tuple[Served, int]]:
    """`make serve` in a project, and the number of its process, which is told to stop at the end.

    Args:
        sandbox: the project.
        log: takes what it prints.
    """
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.serve"], cwd=sandbox.root, env=sandbox.environment, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: process.poll() is not None or addresses(log) is not None, 300, f"a server, see {log}")
        found = addresses(log)
        assert found, log.read_text()
        yield Served(sandbox, *found), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.2)


def fill(root: Path) -> None:
    """Gives a project datasets, splits, teachers and a predictor, as its stages would, but untrained."""
    torch.manual_seed(0)
    project = Project.open(root)
    params, space = project.params, SearchSpace.from_config(project.params.space)
    for dataset in params.datasets:
        import_dataset(dataset, None, root / "data" / "raw", params.data.resolution)
    glyphs = open_packed(project.packed("glyphs"))
    for split in make_splits(glyphs, params.source.groups, params.source.classes_per_group, params.seed):
        if split.index in params.source.splits:
            write_split(project.splits / f"{split.name}.json", split)
            data = load_split(project.packed("glyphs"), split)
            _teacher(project.source_teacher_file(split.name), space, data)
    _teacher(root / TEACHER, space, load_target(project.packed("digits")))
    model = DassPredictor(space.embedding_channels, space.code_length, seed=0)
    rates = {name: torch.full_like(matrix, 0.005) for name, matrix in model.layers.items()}
    card = PredictorCard(
        space=space, resolution=params.data.resolution, noise_seed=params.seed, training=("split0", "split1"),
        validation=("split2",), students=4.0, teacher_ids=("a", "b", "c"), episodes=1, best_episode=1,
        validation_src=0.0, seed=0, precision="float32", device="cpu", torch_version="2", seconds=1.0,
    )  # fmt: skip
    _multi_fidelity(project)
    save_predictor(project.predictor_file, MetaPredictor(model, rates, 1, TargetScale(40.0, 8.0)), card)


def _multi_fidelity(project: Project) -> None:
    """A multi-fidelity predictor that has learned from random numbers."""
    columns, rng = columns_at(Fidelity("steps", 50), 4), np.random.default_rng(0)
    proxies = [ProxyTable(columns, rng.normal(size=(8, len(columns))), np.ones(len(columns))) for _ in range(3)]
    recipe = project.params.distillation
    multi_fidelity = MultiFidelityPredictor(alpha=recipe.alpha, temperature=recipe.temperature).fit(
        [MultiFidelityTask(one, rng.uniform(40, 60, size=8), 60.0, 3, 500) for one in proxies]
    )
    card = MultiFidelityCard(
        space=SearchSpace.from_config(project.params.space), resolution=project.params.data.resolution,
        recipe=recipe_facts(recipe), tasks=("a", "b", "c"), teacher_ids=("a", "b", "c"), students=24, left_out={},
        covered={}, seed=0, device="cpu", torch_version="2", seconds=1.0,
    )  # fmt: skip
    save_multi_fidelity(project.multi_fidelity_file, multi_fidelity, card)


def _teacher(path: Path, space: SearchSpace, data: TaskData) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    network = ElasticResNet(space.largest, len(data.classes)).eval()
    save_file(network.state_dict(), path)
    save_teacher(path, *bring_in_teacher(TeacherFile(path, expect_accuracy=0), data, torch.device("cpu")))


def addresses(log: Path) -> tuple[str, str] | None:
    """The pages' addresses, once `make serve` has said them and its worker is at work."""
    text = log.read_text()
    lines = dict(line.split(maxsplit=1) for line in text.splitlines() if line.startswith(("Prefect  ", "MLflow  ")))
    if "started!" not in text or len(lines) < 2:
        return None
    return lines["Prefect"].removesuffix("/deployments"), lines["MLflow"]


def free_port() -> int:
    """A port of this machine that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def table(artifact: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a table artifact."""
    return json.loads(artifact["data"])
