"""`dass shrink` as a flow: the same steps, each a task on Prefect's page."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from prefect import flow, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from dass.evaluation.plots import embedded
from dass.params_file import find_root
from dass.shrink.front import front_figure, front_rows
from dass.shrink.whole import Options, ShrinkResult, result_lines, shrink_and_file
from dass.tracking.runs import file_page
from dass.tracking.store import open_store
from flows.infrastructure.runtime import Progress, logger, run_link
from flows.infrastructure.slots import gpu_slot
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device

T = TypeVar("T")


def as_task(name: str, work: Callable[[], T]) -> T:
    """Carries out a step as a task of the run."""

    @task(name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)
    def step() -> T:
        return work()

    return step()


@flow(name="shrink", flow_run_name="shrink")
def shrink(options: str) -> None:
    """From a teacher and images to a registered student.

    Args:
        options: a JSON object of `dass.shrink.whole.Options`.
    """
    for line in shrink_here(Options.from_json(json.loads(options)), find_root()):
        print(line, flush=True)


def shrink_here(options: Options, root: Path) -> list[str]:
    """Carries out the steps as tasks of the present run, and leaves what came out on its page.

    Args:
        options: images, teacher, limits and time that were asked for.
        root: folder of the project, whose registry is used.

    Returns:
        What is said at the end.
    """
    torch_device = device()
    with (
        gpu_slot(torch_device),
        shrink_and_file(
            options,
            root,
            device=torch_device,
            tell=logger().info,
            progress=Progress("steps of students", 0, 1),
            step=as_task,
        ) as result,
    ):
        show(result, root)
        return [*result_lines(result), f"report: {result.report}"]


def show(result: ShrinkResult, root: Path) -> None:
    """Put front, picture and result on the run's page."""
    name = result.task.card.task.replace("_", "-")
    create_table_artifact(
        front_rows(result.task, result.shrunk), key=f"front-{name}", description=f"Within {result.request.constraints}"
    )
    store, run_id = open_store(root), result.filed.run_id
    picture = file_page(store, run_id, "front.png")
    create_image_artifact(picture or embedded(front_figure(result.task, result.shrunk)), key=f"front-picture-{name}")
    report = file_page(store, run_id, result.report.name)
    lines = [*result_lines(result), run_link(store, run_id)]
    lines.append(f"[report]({report})" if report else f"report: `{result.report}`")
    create_markdown_artifact("\n\n".join(lines), key=f"shrink-{name}")


if __name__ == "__main__":
    run_stage(shrink, *sys.argv[1:])
