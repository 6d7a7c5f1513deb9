"""Options of all commands that take a teacher of the user's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dass.training.user_teacher import AskedTeacher

Normalization = Annotated[
    str | None,
    typer.Option(
        help="Normalization of the teacher's images: half, unit, imagenet, cifar10, cifar100, or six numbers "
        "(means of red, green, blue, then standard deviations, for pixels in 0..1). If left out: its family's."
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        help="Text file with the teacher's class names, one a line, in the order of its outputs. If left out: "
        "the names in the teacher's file, else the alphabetical order."
    ),
]
ExpectAccuracy = Annotated[
    float | None,
    typer.Option(
        help="Accuracy that the teacher should reach, in percent. A clearly lower accuracy is an error.",
        min=0,
        max=100,
    ),
]
Layout = Annotated[
    list[str] | None,
    typer.Option(
        help="Strides and pools of a torchvision_resnet, with commas: stem_stride=1, max_pool=no, stride_in=1 (of a "
        "bottleneck). If left out: stride 2 and a max-pool for a 7x7 stem, neither for a 3x3 stem."
    ),
]
SortChannels = Annotated[
    bool | None,
    typer.Option(
        "--sort-channels/--keep-channels",
        help="Sort the teacher's inner channels by importance, so that narrow students keep the important ones. The "
        "network computes the same. If left out: sort, except for the paper's family.",
    ),
]


def asked_teacher(
    file: Path,
    normalization: str | None,
    classes: Path | None,
    expect_accuracy: float | None,
    layout: list[str] | None,
    sort_channels: bool | None,
) -> "AskedTeacher":
    """The options of a command as one; `--layout` given twice counts as one text, in which no field may stand twice."""
    from dass.training.user_teacher import AskedTeacher

    names = None if classes is None else str(classes)
    return AskedTeacher(
        str(file), normalization, names, expect_accuracy, ",".join(layout) if layout else None, sort_channels
    )
