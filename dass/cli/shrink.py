"""`dass shrink`: from a teacher and images to a registered student, in the time that is given."""

import shlex
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dass.cli.limit_options import KeepAccuracy, LatencyBatch, MaxLatency, MaxMacs, MaxParams, MaxSize
from dass.cli.teacher_file import Classes, ExpectAccuracy, Layout, Normalization

LATE = 1.5  # times the minutes asked for: later than that is told


def shrink(
    data: Annotated[str, typer.Option(help="A dataset: its name or folder in data/raw, or a folder or zip of images.")],
    teacher: Annotated[Path, typer.Option(help="The teacher's weights: any file with a state_dict.")],
    max_macs: MaxMacs = None,
    max_params: MaxParams = None,
    max_size: MaxSize = None,
    max_latency: MaxLatency = None,
    latency_batch: LatencyBatch = 1,
    keep_accuracy: KeepAccuracy = None,
    minutes: Annotated[float, typer.Option(help="How long all of it may take.", min=0.1, max=10_000)] = 20.0,
    normalization: Normalization = None,
    classes: Classes = None,
    expect_accuracy: ExpectAccuracy = None,
    layout: Layout = None,
    resolution: Annotated[
        int | None,
        typer.Option(
            help="Side of the images in pixels, a multiple of 8. If left out: that of the family.", min=16, max=256
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every random choice.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", envvar="DASS_DEVICE")] = "auto",
) -> None:
    """Find a small student of a teacher, distil it, register it, and write a page about it.

    The same command goes on from what is finished.

    Example: dass shrink --data photos --teacher resnet34.pth --max-macs 40% --minutes 20
    """
    started = time.perf_counter()
    from dass.cli.progress import progress_bar
    from dass.cli.shrink_table import front_table
    from dass.cli.tables import print_table
    from dass.device import resolve_device
    from dass.networks.importing import import_network
    from dass.params_file import find_root, in_project
    from dass.project import RAW
    from dass.search.candidates import Budget
    from dass.search.target_task import open_task
    from dass.shrink.shrink import Request
    from dass.shrink.whole import result_lines, shrink_and_file
    from dass.space.cost import Cost
    from dass.training.user_teacher import TeacherFile

    limits = partial(
        Budget.of, max_macs, max_params, max_size=max_size, max_latency=max_latency, latency_batch=latency_batch,
        keep_accuracy=keep_accuracy,
    )  # fmt: skip
    limits(Cost(1, 1, 1, 1))  # a limit that is none is refused before any work
    place = resolve_device(device)
    given = TeacherFile.of(
        teacher, normalization=normalization, classes=classes, expect_accuracy=expect_accuracy, layout=layout
    )
    family = import_network(given.path, layout=given.layout).network.architecture.family
    root, side = find_root(), resolution or family.usual_resolution or 64

    with open_task(data, given, raw=in_project(RAW), resolution=side, device=place, tell=_tell) as task:
        _tell(f"teacher: {family.name}, {task.card.accuracy:.2f}% of {len(task.data.test_labels)} test images")
        request = Request(limits(task.teacher_cost), minutes, seed)
        with progress_bar("shrink") as progress:
            made = shrink_and_file(
                task, request, root, device=place, command=shlex.join(["dass", *sys.argv[1:]]), started=started,
                tell=_tell, progress=progress,
            )  # fmt: skip
        lines = result_lines(task, request, made)
        print_table(front_table(task, request, made.shrunk))
    print("\n".join(lines))
    if made.seconds > LATE * 60 * minutes:
        _tell(f"all of it took {made.seconds / 60:.1f} minutes, more than the {minutes:g} that were asked for")
    print(f"report: {made.report}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
