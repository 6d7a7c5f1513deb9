"""A task: labelled images, the teacher trained on them, and the students whose accuracy is known."""

from dataclasses import dataclass
from pathlib import Path

from dass.datasets.task_data import TaskData
from dass.networks.checkpoint import TeacherCard
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.space.cost import Cost, cost


@dataclass(frozen=True, eq=False)
class Task:
    """Labelled images and the teacher trained on them, of params.yaml or brought by the user.

    Attributes:
        data: images and labels, on the CPU.
        teacher: network of the teacher.
        card: what is known about it, its accuracy above all.
        architectures: students whose accuracy after distillation is known; empty for a target yet to be ranked.
        accuracies: percent of the test images, one for each of `architectures`.
        left_out: test images over which accuracies were measured and which `data` lacks.
        packed: the folder that the images were read from, where DVC may know it; None for images packed for the
            occasion, and for tasks of params.yaml, whose datasets are known by name.
    """

    data: TaskData
    teacher: ElasticResNet
    card: TeacherCard
    architectures: tuple[Architecture, ...] = ()
    accuracies: tuple[float, ...] = ()
    left_out: int = 0
    packed: Path | None = None

    @property
    def name(self) -> str:
        """The task's name, such as "split3" or "digits"."""
        return self.data.name

    @property
    def teacher_accuracy(self) -> float:
        """Percent of the test images that the teacher gets right."""
        return self.card.accuracy

    @property
    def test_images(self) -> int:
        """How many images an accuracy is over."""
        return len(self.data.test_labels) + self.left_out

    @property
    def teacher_cost(self) -> Cost:
        """What the teacher costs on one image of the task."""
        return self.cost(self.teacher.architecture)

    def cost(self, architecture: Architecture) -> Cost:
        """What a student costs at this task's resolution and number of classes."""
        return cost(architecture, self.data.resolution, len(self.data.classes))
