"""`dass shrink`: from a teacher and images to a registered student, in the time that is given."""

import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from dass.cli.teacher_file import Classes, ExpectAccuracy, Layout, Normalization

LATE = 1.5  # times the minutes asked for: later than that is told


def shrink(
    data: Annotated[str, typer.Option(help="A dataset: its name or folder in data/raw, or a folder or zip of images.")],
    teacher: Annotated[Path, typer.Option(help="The teacher's weights: any file with a state_dict.")],
    max_macs: Annotated[
        str | None, typer.Option(help="Millions of multiply-accumulates, or a share of the teacher's: 40%.")
    ] = None,
    max_params: Annotated[str | None, typer.Option(help="Millions of parameters, or a share: 40%.")] = None,
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
    from dass.device import resolve_device
    from dass.files import write_text
    from dass.networks.importing import import_network
    from dass.params_file import find_root, in_project
    from dass.project import RAW
    from dass.search.candidates import Budget
    from dass.search.target_task import open_task
    from dass.shrink.files import file_student
    from dass.shrink.report import page
    from dass.shrink.shrink import Request, shrink_folder
    from dass.shrink.shrink import shrink as carry_out
    from dass.space.cost import Cost
    from dass.training.user_teacher import TeacherFile

    Budget.of(max_macs, max_params, Cost(1, 1, 1, 1))  # a limit that is none is refused before any work
    place = resolve_device(device)
    given = TeacherFile.of(
        teacher, normalization=normalization, classes=classes, expect_accuracy=expect_accuracy, layout=layout
    )
    family = import_network(given.path, layout=given.layout).network.architecture.family
    root, side = find_root(), resolution or family.usual_resolution or 64

    with open_task(data, given, raw=in_project(RAW), resolution=side, device=place, tell=_tell) as task:
        _tell(f"teacher: {family.name}, {task.card.accuracy:.2f}% of {len(task.data.test_labels)} test images")
        spent = (time.perf_counter() - started) / 60
        budget = Budget.of(max_macs, max_params, task.teacher_cost)
        request = Request(budget, minutes, seed)
        folder = shrink_folder(task, request, root / "data" / "shrink")
        with progress_bar("shrink") as progress:
            timed = Request(budget, max(0.05, minutes - spent), seed)
            shrunk = carry_out(task, timed, folder, device=place, tell=_tell, progress=progress)
        filed = file_student(task, shrunk, root, folder, place)
        report, took = folder / "report.html", time.perf_counter() - started
        write_text(report, page(task, request, shrunk, filed, shlex.join(["dass", *sys.argv[1:]]), took))
    print(f"student: {shrunk.test.accuracy:.2f}% of the test images, teacher {task.card.accuracy:.2f}%")
    print(f"{filed.model} is {filed.alias}: {filed.reason}")
    if took > LATE * 60 * minutes:
        _tell(f"all of it took {took / 60:.1f} minutes: so little time as {minutes:g} is not enough on this machine")
    print(f"report: {report}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
