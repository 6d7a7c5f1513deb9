"""`dass plan`: what the pipeline will take on this machine, measured by a few steps before anything long runs."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from dass.project import Project


def plan(
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", envvar="DASS_DEVICE")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(help="Number of worker processes. If left out: one for each core.", min=1, envvar="DASS_WORKERS"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Estimate hours, disk and memory of each stage, from a few timed steps on this device.

    Example: dass plan
    """
    from dass.device import resolve_device
    from dass.planning import UNKNOWN_CLASSES, UNKNOWN_IMAGES, assumed_datasets, make_plan

    project = Project.open()
    estimates = make_plan(project, resolve_device(device), workers)
    if as_json:
        print(json.dumps([asdict(estimate) for estimate in estimates]))
        return
    from rich.table import Table

    from dass.cli.tables import print_table

    table = Table(title=f"preset {project.params.preset} on {resolve_device(device)}")
    for column in ("stage", "work", "hours", "disk", "memory"):
        table.add_column(column, justify="left" if column in {"stage", "work"} else "right")
    for estimate in estimates:
        table.add_row(
            estimate.stage,
            estimate.work,
            f"{estimate.hours:.2f}",
            _size(estimate.disk_mib),
            _size(estimate.memory_mib),
        )
    table.add_section()
    table.add_row(
        "all",
        "if nothing is done yet",
        f"{sum(e.hours for e in estimates):.2f}",
        _size(sum(e.disk_mib for e in estimates)),
        _size(max(e.memory_mib for e in estimates)),
    )
    print_table(table)
    if assumed := assumed_datasets(project):
        print(f"not here yet, taken to have {UNKNOWN_IMAGES} images of {UNKNOWN_CLASSES} classes: {', '.join(assumed)}")


def _size(mib: float) -> str:
    return f"{mib:.0f} MiB" if mib < 10_240 else f"{mib / 1024:.0f} GiB"
