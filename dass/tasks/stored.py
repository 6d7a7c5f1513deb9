"""Tasks of params.yaml: where each has its images, its teacher and its students, and how it is opened."""

from dataclasses import dataclass, replace
from pathlib import Path

from dass.config import DistillationRecipe, TeacherRecipe
from dass.datasets.halves import halved
from dass.datasets.packed import load_target
from dass.datasets.splits import Split, load_split, read_split
from dass.datasets.task_data import TaskData
from dass.networks.checkpoint import load_teacher
from dass.project import Project
from dass.space.search_space import SearchSpace
from dass.tasks.task import Task


@dataclass(frozen=True)
class StoredTask:
    """A source task or a target of params.yaml. It reads nothing until it is asked to, and it can be pickled.

    Attributes:
        project: project whose params.yaml names the task.
        name: name of the task.
        split: the part of the source dataset that a source task is; None for a target.
    """

    project: Project
    name: str
    split: Split | None = None

    @property
    def packed(self) -> Path:
        """Folder of the packed images."""
        return self.project.packed(self.split.dataset) if self.split else self.project.target_packed(self.name)

    @property
    def teacher_file(self) -> Path:
        """The teacher's weights."""
        project = self.project
        return project.source_teacher_file(self.name) if self.split else project.target_teacher_file(self.name)

    @property
    def students(self) -> Path:
        """Folder of the database of distilled students."""
        return self.project.source_students if self.split else self.project.target_students(self.name)

    @property
    def space(self) -> SearchSpace:
        """The search space of params.yaml."""
        return SearchSpace.from_config(self.project.params.space)

    def load(self) -> TaskData:
        """Reads the images.

        Raises:
            DassError: they are missing or damaged, or are not those that the split was made from.
        """
        if self.split:
            return load_split(self.packed, self.split)
        data = load_target(self.packed)
        return replace(halved(data) if self.project.target(self.name).halves else data, name=self.name)

    def open(self) -> Task:
        """Reads images and teacher; the network is float32, on the CPU, in eval mode.

        Raises:
            DassError: a file is missing or damaged.
        """
        return Task(self.load(), *load_teacher(self.teacher_file))

    def teacher_recipe(self, data: TaskData) -> TeacherRecipe:
        """The recipe of params.yaml for a teacher of these images."""
        return self.project.params.teacher.for_images(len(data.train_labels))

    def recipe(self, data: TaskData) -> DistillationRecipe:
        """The recipe of params.yaml for students of these images."""
        return self.project.params.distillation.for_images(len(data.train_labels))


def stored_target(project: Project, name: str) -> StoredTask:
    """A target.

    Raises:
        UsageError: params.yaml has no such target.
    """
    project.target(name)
    return StoredTask(project, name)


def stored_sources(project: Project) -> list[StoredTask]:
    """The source tasks, in the order of params.yaml.

    Raises:
        DassError: an index file is missing or damaged.
    """
    splits = [read_split(project.splits / f"split{index}.json") for index in project.params.source.splits]
    return [StoredTask(project, split.name, split) for split in splits]
