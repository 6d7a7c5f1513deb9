"""Options of all commands that take a teacher of the user's own."""

from pathlib import Path
from typing import Annotated

import typer

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
    list[str] | None,
    typer.Option(
        help="Strides and pools of a torchvision_resnet that weights cannot tell, with commas between: stem_stride=1, "
        "max_pool=no, stride_in=1 (of a bottleneck). If left out: 7x7 stem stride 2 and max-pool, 3x3 stem neither."
    ),
]
SortChannels = Annotated[
    bool | None,
    typer.Option(
        "--sort-channels/--keep-channels",
        help="Put the teacher's inner channels in order of importance, so that narrow students keep those; the network "
        "computes the same. If left out: as its family does (all but the paper's).",
    ),
]


def one_layout(given: list[str] | None) -> str | None:
    """What all `--layout` of a command say together; a field that stands twice is refused where it is read."""
    return ",".join(given) if given else None
