"""What a person starts from Prefect's page on the project's own data.

The server checks the arguments' types before a run exists, and the flow checks the rest before it works. The page's
form shows the descriptions below.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import Field

from dass.config import Predictor
from dass.errors import UsageError
from dass.files import content_id
from dass.project import Project
from dass.tracking.promotion import make_champion
from flows.deployments.arguments import Count
from flows.deployments.repro import lay, repro, stage_names
from flows.infrastructure.slots import dvc_slot
from flows.infrastructure.stage import begin_run
from flows.stages.meta_train import learn
from flows.stages.students import students
from flows.stages.target_students import target_students


@flow(name="pipeline")
def pipeline(
    preset: Literal[
        "params.yaml", "demo", "small", "medium", "paper", "imagenet", "cifar_resnet", "resnet18"
    ] = "params.yaml",
    overwrite: bool = False,
    until: str = "",
) -> None:
    """Carry out what has changed since the last time: `dvc repro`.

    Args:
        preset: What to run. `params.yaml` is the present file as it is; a preset is laid over it first and stays there.
        overwrite: Lose edits of params.yaml that no preset holds.
        until: Stop after this stage, such as meta_train or register@digits. Empty for all.
    """
    begin_run()
    root = Path.cwd()
    with dvc_slot():
        if preset != "params.yaml":
            lay(root, preset, overwrite)
        project = Project.open(root)
        if until and until not in (names := stage_names(root)):
            raise UsageError(f"there is no stage {until!r}: there are {', '.join(names)}")
        repro(root, [until] if until else [])
    tables = project.reports / "tables.md"
    if not until and tables.exists():
        create_markdown_artifact(tables.read_text(encoding="utf-8"), key="results")


@flow(name="build-database", flow_run_name="database-{of}")
def build_database(of: str = "source", count: Count | None = None) -> None:
    """Distil sampled students and file what they reach, going on from the records that are there.

    Args:
        of: `source` for the source tasks, or a target of params.yaml.
        count: Students of each task, those that are there included. Empty for the number in params.yaml.
    """
    begin_run()
    project = Project.open()
    if of != "source":
        project.target(of)
    with dvc_slot():
        # The stages' work without their flows, so that this run's own page shows its tasks and tables.
        if of == "source":
            students.fn(count)
        else:
            target_students.fn(of, count or project.params.students.per_target)


@flow(name="meta-learn")
def meta_train(
    episodes: Count | None = None,
    query: Annotated[int, Field(ge=2, le=10_000)] | None = None,
    inner_steps: Annotated[int, Field(ge=0, le=100)] | None = None,
    inner_rate: Annotated[float, Field(gt=0, le=10)] | None = None,
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None,
    champion: bool = False,
) -> None:
    """Meta-learn a predictor on the records that are there and register it, beside the pipeline's own.

    What is left empty is as in params.yaml. The pipeline goes on with its own predictor: to change that one, change
    params.yaml.

    Args:
        episodes: Outer steps, each over every training task.
        query: Students of each task in an episode.
        inner_steps: Gradient steps of the guide, 0 for none.
        inner_rate: Where the learned rates of these steps start.
        learning_rate: Of the outer steps.
        champion: Make it the champion of dass-predictor.
    """
    begin_run()
    wanted = {
        "episodes": episodes, "query": query, "inner_steps": inner_steps, "inner_rate": inner_rate,
        "learning_rate": learning_rate,
    }  # fmt: skip
    project = Project.open()
    changes = {name: value for name, value in wanted.items() if value is not None}
    block = Predictor.model_validate(project.params.predictor.model_dump() | changes)
    project = replace(project, params=project.params.model_copy(update={"predictor": block}))
    folder = project.meta_trained / content_id(block.model_dump(mode="json"))
    store, version = learn(project, folder)  # goes on from what a run of the same settings has left there
    if champion:
        make_champion(store, version, "asked for when it was trained")
    shutil.rmtree(folder)
