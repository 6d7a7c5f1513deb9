"""The images of a target of params.yaml."""

from dataclasses import replace

from dass.datasets.halves import halved
from dass.datasets.packed import load_target
from dass.datasets.task_data import TaskData
from dass.project import Project


def target_data(project: Project, target: str) -> TaskData:
    """A target's images, named after the target, divided as params.yaml says.

    Raises:
        DassError: the packed dataset is missing or damaged.
    """
    block = project.target(target)
    data = load_target(project.target_packed(target))
    return replace(halved(data) if block.halves else data, name=target)
