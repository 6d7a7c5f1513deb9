"""`dass shrink`: from a teacher and images to a registered student, in the time that is given."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from dass.cli.limit_options import KeepAccuracy, KeepProbability, LatencyBatch, MaxLatency, MaxMacs, MaxParams, MaxSize
from dass.cli.on_server import server_is_there, shrink_on_server
from dass.cli.teacher_file import Classes, ExpectAccuracy, Layout, Normalization, SortChannels, asked_teacher

LATE = 1.5  # times the minutes asked for: later than that is told


def shrink(
    data: Annotated[
        str, typer.Option(help="Name or folder of a dataset in data/raw, or a folder or archive of images.")
    ],
    teacher: Annotated[Path, typer.Option(help="File of the teacher's weights, with a state_dict.")],
    max_macs: MaxMacs = None,
    max_params: MaxParams = None,
    max_size: MaxSize = None,
    max_latency: MaxLatency = None,
    latency_batch: LatencyBatch = 1,
    keep_accuracy: KeepAccuracy = None,
    keep_probability: KeepProbability = None,
    minutes: Annotated[
        float, typer.Option(help="Minutes that the whole command may take.", min=0.1, max=10_000)
    ] = 20.0,
    normalization: Normalization = None,
    classes: Classes = None,
    expect_accuracy: ExpectAccuracy = None,
    layout: Layout = None,
    sort_channels: SortChannels = None,
    resolution: Annotated[
        int | None,
        typer.Option(help="Side of the images in pixels, a multiple of 8. If left out: the family's.", min=16, max=256),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", envvar="DASS_DEVICE")] = "auto",
) -> None:
    """Find a small student of a teacher, distil it, register it, and write a page about it.

    If you stop the command, the same command goes on from there. If a Prefect server runs (`make ui`, `make serve` or
    PREFECT_API_URL), its page shows the steps as tasks of a run.

    Example: dass shrink --data photos --teacher resnet34.pth --max-macs 40% --minutes 20
    """
    from dass.cli.progress import progress_bar
    from dass.cli.tables import print_table, table_of_rows
    from dass.device import resolve_device
    from dass.params_file import find_root
    from dass.search.constraints import AskedLimits
    from dass.shrink.front import front_rows
    from dass.shrink.whole import Options, result_lines, shrink_and_file

    root, torch_device = find_root(), resolve_device(device)
    limits = AskedLimits(
        max_macs, max_params, max_size=max_size, max_latency=max_latency, latency_batch=latency_batch,
        keep_accuracy=keep_accuracy, keep_probability=keep_probability,
    )  # fmt: skip
    limits.check()
    theirs = asked_teacher(teacher, normalization, classes, expect_accuracy, layout, sort_channels)
    command = shlex.join(["dass", *sys.argv[1:]])
    options = Options(data, theirs, limits, minutes, resolution, seed=seed, command=command)
    if not (root / "params.yaml").is_file():
        _tell(f"no params.yaml here or above: registry (mlflow.db) and steps (data/shrink) are kept in {root}")
    if server_is_there(root):
        raise typer.Exit(shrink_on_server(options, root, device))
    with (
        progress_bar("shrink") as progress,
        shrink_and_file(options, root, device=torch_device, tell=_tell, progress=progress) as result,
    ):
        lines, rows = result_lines(result), front_rows(result.task, result.shrunk)
    print_table(table_of_rows(f"{result.task.card.task}: within {result.request.constraints}", rows))
    print("\n".join(lines))
    if result.seconds > LATE * 60 * minutes:
        _tell(f"all of it took {result.seconds / 60:.1f} minutes, more than the {minutes:g} that were asked for")
    print(f"report: {result.report}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
