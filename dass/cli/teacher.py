"""`dass teacher`: what a checkpoint is, before anything is done with it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dass.cli.teacher_file import Classes, ExpectAccuracy, Layout, Normalization, SortChannels, asked_teacher

teacher_app = typer.Typer(
    no_args_is_help=True,
    help="Inspect your own teacher.\n\nExample: dass teacher inspect resnet56.th --data cifar10.zip",
)


@teacher_app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="File of the teacher's weights, with a state_dict.")],
    data: Annotated[
        str | None,
        typer.Option(help="Measure the teacher on a dataset: name or folder in data/raw, or a folder or archive."),
    ] = None,
    normalization: Normalization = None,
    classes: Classes = None,
    expect_accuracy: ExpectAccuracy = None,
    layout: Layout = None,
    sort_channels: SortChannels = None,
    resolution: Annotated[
        int | None,
        typer.Option(
            help="Side of the images in pixels, a multiple of 8. If left out: that of the family.", min=16, max=256
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show family, cost and accuracy of a teacher, and its smallest student.

    Example: dass teacher inspect resnet56.th --data cifar10.zip
    """
    given = asked_teacher(file, normalization, classes, expect_accuracy, layout, sort_channels).read()
    facts = _facts(given, data, resolution)
    if as_json:
        print(json.dumps(facts))
        return
    from rich.table import Table

    from dass.cli.tables import print_table

    table = Table("quantity", "value", title=str(file))
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _shown(value))
    print_table(table)


def _facts(file: Any, data: str | None, resolution: int | None) -> dict[str, Any]:
    import torch

    from dass.families.normalization import normalization_name
    from dass.networks.importing import import_network
    from dass.params_file import in_project
    from dass.project import RAW
    from dass.space.cost import CostLimits, cost
    from dass.space.search_space import RATIOS, SearchSpace
    from dass.tasks.user import open_task, packed_side
    from dass.training.class_order import order_of

    read = import_network(file.path, normalization=file.normalization, layout=file.layout)
    network, architecture = read.network, read.network.architecture
    side = architecture.family.usual_resolution or 64
    side = resolution or (side if data is None else packed_side(data, in_project(RAW), side))
    space = SearchSpace.below(architecture, RATIOS, "block")
    price = cost(architecture, side, network.classes)
    limits = space.limits(CostLimits(side, network.classes))
    facts: dict[str, Any] = {
        "family": architecture.family.name,
        "depths_and_widths": architecture.stage_label,
        "classes": network.classes,
        "class_names": list(read.classes) if read.classes else None,
        "normalization": normalization_name(network.normalization),
        "resolution": side,
        "parameters": price.parameters,
        "macs": price.macs,
        "smallest_student_parameters": limits.least_params,
        "smallest_student_macs": limits.least_macs,
        "students": space.size,
    }
    if data is not None:
        with open_task(data, file, raw=in_project(RAW), resolution=side, device=torch.device("cpu")) as task:
            named = read.classes is not None and order_of(read.classes, task.data.classes) is not None
            order = "as listed" if file.classes else "as the file lists them" if named else "alphabetical"
            if read.classes and not named and not file.classes:
                order += "; the names in the file are not those of the dataset and are not used"
            facts |= {
                "order_of_classes": order,
                "accuracy": task.card.accuracy,
                "test_images": len(task.data.test_labels),
            }
    return facts


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "-" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}" if value < 10**12 else f"{value:.2e}"
    if isinstance(value, list):
        return ", ".join(value[:8]) + (f", ... ({len(value)})" if len(value) > 8 else "")
    return f"{value:.2f}%" if isinstance(value, float) else str(value)
