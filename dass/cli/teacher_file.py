"""Options of all commands that take a teacher of the user's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dass.errors import UsageError, brief

if TYPE_CHECKING:
    from dass.training.user_teacher import TeacherFile

Normalization = Annotated[
    str | None,
    typer.Option(
        help="What the teacher expects of its images: half, unit, imagenet, cifar10, cifar100, or six numbers "
        "(mean of red, green, blue, then their standard deviations, for pixels in 0..1). If left out: its family's."
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        help="A text file with the teacher's class names, one a line, in the order of its outputs. If left out: names "
        "in the teacher's file, else alphabetical."
    ),
]
ExpectAccuracy = Annotated[
    float | None,
    typer.Option(
        help="Percent of the test images that the teacher should reach; less, by more than a margin, is an error.",
        min=0,
        max=100,
    ),
]
Layout = Annotated[
    str | None,
    typer.Option(
        help="Strides and pools of a torchvision_resnet that weights cannot tell, with commas between: stem_stride=1, "
        "max_pool=no, stride_in=1 (of a bottleneck). If left out: 7x7 stem stride 2 and max-pool, 3x3 stem neither."
    ),
]


def parse_layout(text: str) -> dict[str, int | bool]:
    """Reads `stem_stride=1,max_pool=no`.

    Raises:
        UsageError: another form.
    """
    words: dict[str, int | bool] = {"1": 1, "2": 2, "yes": True, "no": False, "true": True, "false": False}
    layout: dict[str, int | bool] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or value.lower() not in words:
            raise UsageError(f"--layout {text!r}: {part.strip()!r} is not of the form stem_stride=1 or max_pool=no")
        layout[name] = words[value.lower()]
    return layout


def teacher_file(
    path: Path,
    normalization: str | None,
    classes: Path | None,
    expect_accuracy: float | None,
    layout: str | None = None,
) -> "TeacherFile":
    """The teacher's file with what the options say of it.

    Raises:
        UsageError: an option cannot be understood, or the list of classes cannot be read.
    """
    from dass.families.normalization import parse_normalization
    from dass.training.user_teacher import TeacherFile

    names = None
    if classes is not None:
        try:
            lines = classes.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"--classes {classes} cannot be read ({brief(error)}): give a text file in UTF-8"
            ) from error
        names = tuple(line.strip() for line in lines if line.strip())
        if not names:
            raise UsageError(f"--classes {classes} holds no names: write one class name a line")
    return TeacherFile(
        path,
        parse_normalization(normalization) if normalization else None,
        names,
        expect_accuracy,
        parse_layout(layout) if layout else None,
    )
