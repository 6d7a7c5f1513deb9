"""The user's own teacher: a checkpoint from elsewhere, checked against the data, and measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dass.datasets.task_data import TaskData
from dass.errors import DassError, UsageError, brief
from dass.families.blocks import Normalization
from dass.families.normalization import normalization_name, parse_normalization
from dass.networks.checkpoint import TeacherCard, weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.importing import import_network
from dass.space.architecture import Architecture
from dass.training.class_order import best_reordering, explicit_order, order_of, reorder_outputs
from dass.training.evaluation import predict, summarize

MARGIN = 1.0  # points by which a teacher may miss what is expected, beside two standard errors of the test part
ERRORS = 3.0  # standard errors above chance up to which an accuracy counts as chance,
REORDERED = 25.0  # points that another order of classes must gain to be thought the right one
NEAR_CHANCE = 0.25  # but no more than this share of the way to 100%, where there are few test images


@dataclass(frozen=True)
class TeacherFile:
    """A checkpoint from elsewhere, and what its weights cannot tell.

    Attributes:
        path: path of the file.
        normalization: normalization of the images that the weights expect; None for what the file or its family says.
        classes: class names in the order of its outputs; None for names in the file, else the dataset's order.
        expect_accuracy: percent of the test images that it should reach; None for anything clearly above chance, 0 for
            anything at all. A number far below what is measured does not confirm an order of classes that looks wrong.
        layout: strides and pools that weights cannot tell, see `dass.families.family.lay_out`; None for those of the
            search space where there is one, else its family's rules.
        sort_channels: whether inner channels are put in order of importance; None for the family's habit.
    """

    path: Path
    normalization: Normalization | None = None
    classes: tuple[str, ...] | None = None
    expect_accuracy: float | None = None
    layout: Mapping[str, int | bool] | None = None
    sort_channels: bool | None = None


@dataclass(frozen=True)
class AskedTeacher:
    """A checkpoint from elsewhere, as options and forms name it.

    Attributes:
        path: path of the file.
        normalization: see `dass.families.normalization.parse_normalization`; None for what the file or its family says.
        classes: path of a text file of class names, one a line; None for names in the checkpoint.
        expect_accuracy: accuracy that the teacher should reach, in percent (0..100); None for anything above chance.
        layout: fields and values, such as `stem_stride=1,max_pool=no`; None for the rule.
        sort_channels: whether inner channels are put in order of importance; None for the family's habit.
    """

    path: str
    normalization: str | None = None
    classes: str | None = None
    expect_accuracy: float | None = None
    layout: str | None = None
    sort_channels: bool | None = None

    def read(self, root: Path = Path()) -> TeacherFile:
        """What is asked for, understood; the checkpoint itself is not opened.

        Args:
            root: folder that relative paths are of.

        Raises:
            UsageError: an option cannot be understood, or the list of classes cannot be read.
        """
        return TeacherFile(
            root / self.path,
            parse_normalization(self.normalization) if self.normalization else None,
            _read_names(root / self.classes) if self.classes else None,
            self.expect_accuracy,
            _parse_layout(self.layout) if self.layout else None,
            self.sort_channels,
        )


def _read_names(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"classes: {path} cannot be read ({brief(error)}): give a text file in UTF-8") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise UsageError(f"classes: {path} holds no names: write one class name a line")
    return names


def _parse_layout(text: str) -> dict[str, int | bool]:
    words: dict[str, int | bool] = {"1": 1, "2": 2, "yes": True, "no": False, "true": True, "false": False}
    layout: dict[str, int | bool] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or value.lower() not in words:
            raise UsageError(f"layout {text!r}: {part.strip()!r} is not of the form stem_stride=1 or max_pool=no")
        if name in layout:
            raise UsageError(f"layout {text!r}: {name} stands twice")
        layout[name] = words[value.lower()]
    return layout


def check_classes(outputs: int, data: TaskData, name: str) -> None:
    """Refuses a network that cannot have been trained on a task.

    Args:
        outputs: number of outputs of the network.
        data: images and labels of the task.
        name: name of the network, for the message.

    Raises:
        UsageError: it has more or fewer outputs than the task has classes.
    """
    if outputs != len(data.classes):
        raise UsageError(
            f"{name} has {outputs} outputs, the task {data.name} has {len(data.classes)} classes: give the dataset "
            "that it was trained on"
        )


def bring_in_teacher(
    teacher: TeacherFile, data: TaskData, device: torch.device, *, largest: Architecture | None = None
) -> tuple[ElasticResNet, TeacherCard]:
    """Reads a checkpoint as the teacher of a task and measures it on the task's test images, in float32.

    Args:
        teacher: file of the teacher's weights, and how to read it.
        data: images and labels of the task, on the CPU.
        device: device that it is measured on.
        largest: the architecture that it must have; None for any of a supported family.

    Returns:
        The network, float32 on `device` in eval mode, its outputs in the order of the task's classes, and its card;
        recipe, seed, seconds and device stay empty, since nothing is known about its training.

    Raises:
        DassError: the file is damaged, its weights are not of that architecture or not finite, or its accuracy is
            near chance or below what is expected.
        UsageError: there is no such file, it is of no supported family, or it knows other classes than the task.
    """
    expected = largest.family if largest else None
    imported = import_network(
        teacher.path,
        normalization=teacher.normalization,
        layout=teacher.layout,
        expected=expected,
        sort=teacher.sort_channels,
    )
    network = imported.network
    if largest is not None and network.architecture != largest:
        raise DassError(
            f"{teacher.path} is a {network.architecture.family.name} of depths and widths "
            f"{network.architecture.stage_label}; this search space needs a {largest.family.name} of "
            f"{largest.stage_label}: use a teacher of that size, or another search space"
        )
    check_classes(network.classes, data, str(teacher.path))
    order = order_of(imported.classes, data.classes) if imported.classes else None
    if teacher.classes is not None:
        order = explicit_order(teacher.classes, data.classes, str(teacher.path))
    if order is not None:
        reorder_outputs(network, order)
    network = network.to(device)
    logits = predict(network, data.test_images, "float32")
    measured = summarize(logits, data.test_labels.to(device))
    _check_accuracy(teacher, network, logits, data, measured.accuracy, order)
    card = TeacherCard(
        task=data.name,
        classes=data.classes,
        architecture=network.architecture,
        resolution=data.resolution,
        accuracy=measured.accuracy,
        loss=measured.loss,
        teacher_id=weights_id(network),
        data_id=data.data_id,
        train_images=len(data.train_labels),
        recipe_id="",
        seed=0,
        seconds=0.0,
        device="",
    )
    return network, card


def _check_accuracy(
    teacher: TeacherFile,
    network: ElasticResNet,
    logits: Tensor,
    data: TaskData,
    accuracy: float,
    order: list[int] | None,
) -> None:
    """Refuses an accuracy that looks like a mistake in preprocessing or in the order of classes.

    Raises:
        DassError: see `bring_in_teacher`.
    """
    count, chance = len(data.test_labels), 1 / len(data.classes)
    reordered = best_reordering(logits, data.test_labels)
    gain = REORDERED + 100 * ERRORS * 0.5 / math.sqrt(max(1, count))  # in few images an order is easily found
    if teacher.expect_accuracy is not None and 0 < teacher.expect_accuracy <= 1:
        raise UsageError(
            f"expect_accuracy {teacher.expect_accuracy:g} is at most one percent: give percent, such as 93.6, no share"
        )
    if teacher.expect_accuracy is not None:
        share = min(max(teacher.expect_accuracy / 100, 0.0), 1.0)
        margin = MARGIN + 200 * math.sqrt(share * (1 - share) / max(1, count))
        confirmed = accuracy <= teacher.expect_accuracy + margin or teacher.expect_accuracy == 0
        if accuracy >= teacher.expect_accuracy - margin and (confirmed or reordered <= accuracy + gain):
            return
        percent, remedy = f"{accuracy:.2f}%", ""
        if accuracy < teacher.expect_accuracy - margin:
            percent += f", {teacher.expect_accuracy - accuracy:.2f} points below the expected "
            percent += f"{teacher.expect_accuracy:g}% (allowed: {margin:.2f})"
    elif reordered > accuracy + gain:
        percent, remedy = f"{accuracy:.2f}%", ""
    elif accuracy / 100 > chance + min(
        ERRORS * math.sqrt(chance * (1 - chance) / max(1, count)), NEAR_CHANCE * (1 - chance)
    ):
        return
    else:
        percent = f"{accuracy:.2f}%, which is chance with {len(data.classes)} classes"
        remedy = f"; if that is what it reaches, say so: expect_accuracy {accuracy:.1f}"
    named = "as listed" if teacher.classes else "as the file lists them" if order else "alphabetical, as the dataset's"
    causes = (
        f"normalization (taken: {normalization_name(network.normalization)}), order of classes (taken: {named}), "
        f"resolution (taken: {data.resolution} pixels)"
    )
    if reordered > accuracy + 10 and reordered > 200 * chance:
        remedy = f"; in another order of classes its outputs would reach {reordered:.1f}%: give its list of classes"
    raise DassError(f"{teacher.path} reaches {percent} of {count} test images: check {causes}{remedy}")
