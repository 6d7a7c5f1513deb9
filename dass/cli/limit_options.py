"""Options of all commands that look for a student within limits."""

from typing import Annotated

import typer

MaxMacs = Annotated[
    str | None, typer.Option(help="Most multiply-accumulates, in millions or as a share of the teacher's: 40%.")
]
MaxParams = Annotated[str | None, typer.Option(help="Most parameters, in millions or as a share: 40%.")]
MaxSize = Annotated[str | None, typer.Option(help="Largest file of the student's weights (float32): 1MB, 300kB.")]
MaxLatency = Annotated[
    str | None,
    typer.Option(help="Longest forward pass on --device: 5ms. The pick is measured. A slower pick is replaced."),
]
LatencyBatch = Annotated[
    int, typer.Option(help="Number of images in the forward pass of --max-latency.", min=1, max=4096)
]
KeepAccuracy = Annotated[
    float | None,
    typer.Option(
        help="Points of accuracy that the student may lose against its teacher. The smallest such student is chosen.",
        min=0,
        max=100,
    ),
]
KeepProbability = Annotated[
    float | None,
    typer.Option(
        help="Least probability that the student of --keep-accuracy loses no more, above 0 and below 1. "
        "If left out: 0.8.",
        show_default=False,
    ),
]
