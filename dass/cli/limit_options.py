"""Options of all commands that look for a student within limits."""

from typing import Annotated

import typer

MaxMacs = Annotated[
    str | None, typer.Option(help="Millions of multiply-accumulates, or a share of the teacher's: 40%.")
]
MaxParams = Annotated[str | None, typer.Option(help="Millions of parameters, or a share: 40%.")]
MaxSize = Annotated[str | None, typer.Option(help="Of the student's weights file (float32): 1MB, 300kB.")]
MaxLatency = Annotated[
    str | None,
    typer.Option(help="Of one forward pass on --device: 5ms. The pick is measured, and replaced if it is slower."),
]
LatencyBatch = Annotated[int, typer.Option(help="Images in the forward pass that is timed.", min=1, max=4096)]
KeepAccuracy = Annotated[
    float | None,
    typer.Option(
        help="Points that the student may lose against its teacher: the smallest one that loses no more.",
        min=0,
        max=100,
    ),
]
KeepProbability = Annotated[
    float | None,
    typer.Option(
        help="How likely it has to be that the student of --keep-accuracy loses no more, above 0 and below 1. "
        "0.8 if left out.",
        show_default=False,
    ),
]
