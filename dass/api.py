"""The library's front: a teacher and images in, a ranked and a distilled student out, in a few calls."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.device import resolve_device, resolve_precision
from dass.errors import UsageError
from dass.families.normalization import parse_normalization
from dass.networks.checkpoint import TeacherCard, weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.importing import import_network
from dass.search.budget import RaceSize
from dass.search.constraints import AskedLimits
from dass.search.race import RaceSearch
from dass.search.result import SearchResult
from dass.shrink.recipe import shrink_recipe
from dass.space.architecture import Architecture
from dass.space.search_space import RATIOS, SearchSpace
from dass.tasks.task import Task
from dass.tasks.user import open_user_data
from dass.training import recipes
from dass.training.evaluation import Evaluation
from dass.training.evaluation import evaluate as evaluate_images
from dass.training.recipes import StudentResult
from dass.training.user_teacher import check_classes

MOST_EPOCHS = 2000
CANDIDATES_PER_STUDENT = 8  # are tried on one batch for each student that trains


def load_teacher(path: str | Path, *, normalization: str | None = None, **layout: Any) -> ElasticResNet:
    """Reads a trained teacher of any supported family from any file with a state_dict.

    Args:
        path: path of the file, see docs/families.md.
        normalization: of the images that it expects, such as `imagenet`; None for what the file or its family says.
        **layout: what weights cannot tell, such as `stem_stride=1`.

    Returns:
        The network, float32 on the CPU in eval mode.

    Raises:
        UsageError: there is no such file, or it is of no supported family.
        DassError: it is damaged.
    """
    parsed = None if normalization is None else parse_normalization(normalization)
    return import_network(Path(path), normalization=parsed, layout=layout or None).network


def open_dataset(source: str | Path, resolution: int) -> TaskData:
    """Reads labelled images into memory.

    Args:
        source: a packed dataset's folder, or a folder, zip or tar of images, see docs/datasets.md.
        resolution: side in pixels that images are brought to.

    Raises:
        UsageError: there is no such dataset.
        DassError: it is damaged.
    """
    with open_user_data(str(source), Path(source).parent, resolution) as data:
        return replace(data, train_images=data.train_images.clone(), test_images=data.test_images.clone())


def evaluate(network: ElasticResNet, data: TaskData, *, device: str = "auto") -> Evaluation:
    """Measures a teacher or a student on the test images.

    Args:
        network: network with an output for each class of the task.
        data: images and labels of the task.
        device: `auto`, `cpu` or `cuda`; `auto` takes a GPU where there is one.

    Raises:
        UsageError: the network has other classes than the task.
    """
    torch_device = resolve_device(device)
    _check_classes(network, data)
    network.to(torch_device).eval()
    return evaluate_images(network, data.test_images.to(torch_device), data.test_labels.to(torch_device), "float32")


def rank_students(
    teacher: ElasticResNet,
    data: TaskData,
    *,
    max_macs: float | str | None = None,
    max_params: float | str | None = None,
    students: int = 16,
    seconds: float | None = None,
    seed: int = 0,
    device: str = "auto",
) -> SearchResult:
    """Ranks students of a teacher by successive halving, which needs nothing that was learned.

    Args:
        teacher: network of any supported family.
        data: the task that it was trained on; test images measure the teacher alone.
        max_macs: most multiply-accumulates in millions, or a share of the teacher's, such as "40%".
        max_params: most parameters, in millions or as a share of the teacher's.
        students: number of students that train, at least 1.
        seconds: how long the search may take; as many students train as fit.
        seed: random seed of the candidates, batches and augmentation.
        device: `auto`, `cpu` or `cuda`; `auto` takes a GPU where there is one.

    Returns:
        The ranking, the best first; `pick.architecture` is the best.

    Raises:
        UsageError: nothing fits the limits, a number is out of its range, or the teacher has other classes.
        DassError: every student diverged.
    """
    torch_device = resolve_device(device)
    limits = AskedLimits(max_macs, max_params)
    limits.check()
    for name, number, least in (("students", students, 1), ("seconds", seconds, 0), ("seed", seed, 0)):
        if number is not None and number < least:
            raise UsageError(f"{name} is {number:g}: give at least {least}")
    _check_classes(teacher, data)
    reached = evaluate(teacher, data, device=device)
    card = TeacherCard(
        task=data.name, classes=data.classes, architecture=teacher.architecture, resolution=data.resolution,
        accuracy=reached.accuracy, loss=reached.loss, teacher_id=weights_id(teacher), data_id=data.data_id,
        train_images=len(data.train_labels), recipe_id="", seed=0, seconds=0.0, device=str(torch_device),
    )  # fmt: skip
    task = Task(data, teacher, card)
    space = SearchSpace.below(teacher.architecture, RATIOS, "block")
    size = RaceSize(CANDIDATES_PER_STUDENT * students, students, seconds)
    return RaceSearch(space, size, seed, torch_device).rank(task, limits.constraints(task.teacher_cost))


def distill(
    teacher: ElasticResNet,
    architectures: Architecture | Sequence[Architecture],
    data: TaskData,
    *,
    recipe: DistillationRecipe | None = None,
    epochs: int = 10,
    seed: int = 0,
    device: str = "auto",
) -> list[StudentResult]:
    """Distils students from their remapped starts.

    Args:
        teacher: network of the students' family.
        architectures: one, or several that are trained side by side on the same batches.
        data: images and labels of the task.
        recipe: how; None for the paper's recipe with `epochs` passes over the training images.
        epochs: passes over the training images, at least 1, where there is no recipe.
        seed: random seed of batch order and augmentation.
        device: `auto`, `cpu` or `cuda`; `auto` takes a GPU where there is one.

    Returns:
        One result for each architecture, in order; `network` is the trained student.

    Raises:
        UsageError: an architecture does not fit the teacher, a number is out of its range, the teacher has other
            classes, or there are fewer training images than one batch.
    """
    torch_device = resolve_device(device)
    if recipe is None and not 1 <= epochs <= MOST_EPOCHS:
        raise UsageError(f"epochs is {epochs}: give 1 to {MOST_EPOCHS}")
    _check_classes(teacher, data)
    chosen = recipe or shrink_recipe(data, epochs)
    resolve_precision(chosen.precision, torch_device)  # refused before anything is trained
    several = [architectures] if isinstance(architectures, Architecture) else list(architectures)
    return recipes.distill(teacher, several, data, chosen, seed=seed, device=torch_device)


def _check_classes(network: ElasticResNet, data: TaskData) -> None:
    """Refuses a network of other classes, whose answers would be compared with labels that mean something else."""
    check_classes(network.classes, data, "the network")
