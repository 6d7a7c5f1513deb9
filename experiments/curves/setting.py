"""What is measured: tasks, students, and how long they are distilled."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dass.config import DistillationRecipe
from dass.errors import UsageError
from dass.space.architecture import Architecture
from dass.space.cost import CostLimits, cost
from dass.space.search_space import SearchSpace

READINGS = (5, 10, 20, 40, 50, 80, 160, 320, 640)  # steps after which the held-out images are looked at


@dataclass(frozen=True)
class Setting:
    """One study.

    Attributes:
        name: of its folder.
        teachers: name of the study that holds the teachers, which is another where both have the same.
        steps: fewest steps of a distillation; whole epochs are trained.
        targets: tasks whose students answer the question.
        sources: tasks that predictors learn from.
        windows: of a target: (least, most) share of the teacher's multiply-accumulates and how many students lie
            between; their upper ends are the limits under which methods search.
        source_windows: the same of a source task.
        searched: whether a predictor that comes with DaSS takes the teachers.
        foreign: targets whose teacher is a file from elsewhere: the target, its dataset and the name of the file.
    """

    name: str
    teachers: str
    steps: int
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    windows: tuple[tuple[float, float, int], ...]
    source_windows: tuple[tuple[float, float, int], ...]
    searched: bool = False
    foreign: tuple[tuple[str, str, str], ...] = ()

    @property
    def limits(self) -> tuple[float, ...]:
        """Under which methods search: shares of the teacher's multiply-accumulates."""
        return tuple(most for _, most, _ in self.windows)

    def recipe(self, recipe: DistillationRecipe, images: int) -> DistillationRecipe:
        """The preset's recipe, made long, for so many training images; float32, so that any CPU can go on with it."""
        long = recipe.model_copy(update={"epochs": 1, "min_steps": self.steps, "precision": "float32"})
        return long.for_images(images)


SMALL = ("cifar10", "quickdraw8", "stanford_cars", "plantvillage")
SETTINGS = {
    "small-long": Setting(
        name="small-long",
        teachers="small",
        steps=1280,
        targets=SMALL,
        sources=tuple(f"split{index}" for index in range(8)),
        windows=((0.0, 0.3, 12), (0.3, 0.4, 14), (0.4, 0.5, 14)),  # the smallest student has 0.21 of the teacher's
        source_windows=((0.0, 0.3, 4), (0.3, 0.4, 6), (0.4, 0.5, 6)),
        searched=True,
    ),
    "cifar-resnet": Setting(
        name="cifar-resnet",
        teachers="cifar-resnet",
        steps=840,
        targets=("cifar10-resnet32", "cifar10-resnet56"),
        sources=("split0", "split2", "split4", "split6"),
        windows=((0.0, 0.4, 12), (0.4, 0.6, 12)),
        source_windows=((0.0, 0.4, 4), (0.4, 0.6, 4)),
        foreign=(
            ("cifar10-resnet32", "cifar10", "resnet32-d509ac18.th"),
            ("cifar10-resnet56", "cifar10", "resnet56-4bfd9763.th"),
        ),
    ),
}


def setting_of(name: str) -> Setting:
    """The setting of a name.

    Raises:
        UsageError: there is no such setting.
    """
    if name not in SETTINGS:
        raise UsageError(f"there is no setting {name!r:.60}: give one of {', '.join(SETTINGS)}")
    return SETTINGS[name]


def pool(setting: Setting, task: str, space: SearchSpace, resolution: int, classes: int) -> list[Architecture]:
    """The students of a task, each task its own, in the order in which they are distilled.

    Windows take turns, so that any beginning of the list holds students of each.
    """
    largest = cost(space.largest, resolution, classes).macs
    windows = setting.windows if task in setting.targets else setting.source_windows
    drawn = []
    for index, (least, most, count) in enumerate(windows):
        digest = hashlib.sha256(f"{setting.name} {task} {index}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        limits = CostLimits(resolution, classes, max_macs=most * largest, min_macs=least * largest)
        drawn.append(space.sample(count, rng, limits))
    return list(_by_turns(drawn))


def _by_turns(lists: list[list[Architecture]]) -> Iterator[Architecture]:
    for index in range(max(map(len, lists))):
        yield from (members[index] for members in lists if index < len(members))
