"""`dass describe`: what one architecture costs."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dass.config import Params
from dass.errors import UsageError
from dass.presets import all_presets, preset_params
from dass.project import Project

if TYPE_CHECKING:
    from dass.space.architecture import Architecture
    from dass.space.search_space import SearchSpace


def describe(
    architecture: Annotated[
        Path | None, typer.Argument(help='JSON file: {"widths": [[20, 32], [32, 64], [128], [256]]}.')
    ] = None,
    depth: Annotated[str | None, typer.Option(help="Number of blocks of each stage: 2,4,2,2.")] = None,
    width: Annotated[
        str | None, typer.Option(help="Width of the blocks of each stage, except the last block: 20,32,104,128.")
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Side of the images in pixels. If left out: by params.yaml or the preset.")
    ] = None,
    classes: Annotated[int, typer.Option(help="Number of classes.", min=1)] = 10,
    preset: Annotated[
        str | None,
        typer.Option(help="Preset whose search space is taken. If left out: params.yaml's, else the first that fits."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print parameters and multiply-accumulates of an architecture of params.yaml's search space.

    Without an architecture: those of the largest one, which a teacher must be. A file may also hold an architecture of
    another family.

    Example: dass describe --depth 2,4,2,2 --width 20,32,104,128 --resolution 224 --classes 7
    """
    from dass.space.cost import cost

    if architecture is not None and depth is None and width is None:
        value = _read(architecture)
        choice = _first_space(preset, lambda space: _member(space, value), value)
    elif architecture is None and depth is not None and width is not None:
        depths, widths = _numbers("--depth", depth), _numbers("--width", width)
        choice = _first_space(preset, lambda space: space.from_depth_width(depths, widths))
    elif architecture is None and depth is None and width is None:
        choice = _first_space(preset, lambda space: space.largest)
    else:
        raise UsageError("describe: give a JSON file, or both --depth and --width, or none of them for the teacher's")
    params, space, described = choice
    resolution = params.data.resolution if resolution is None else resolution
    named = params.preset if space else "none"
    costs = cost(described, resolution, classes)
    if as_json:
        fields = {**asdict(costs), "arch_id": described.arch_id}
        fields |= {"code_length": space.code_length} if space else {}
        fields |= {"resolution": resolution, "classes": classes, **described.to_json()}
        print(json.dumps({**fields, "space": named}))
        return
    from rich.table import Table

    from dass.cli.tables import print_table

    table = Table(
        "quantity",
        "value",
        title=f"{described.stage_label} at {resolution}x{resolution}, {classes} classes, space: {named}",
    )
    table.add_row("parameters", f"{costs.parameters:,}")
    table.add_row("macs (conv + linear)", f"{costs.macs / 1e6:.2f} M")
    table.add_row("macs_bn1 (+ 1 per BN output: Table 7)", f"{costs.macs_bn1 / 1e6:.2f} M")
    table.add_row("macs_bn3_pool (+ 3 per BN output + pool: Table 5)", f"{costs.macs_bn3_pool / 1e6:.2f} M")
    table.add_row("arch_id", described.arch_id)
    if space:
        table.add_row("code_length", str(space.code_length))
    print_table(table)


def _first_space(
    preset: str | None, member: Callable[["SearchSpace"], "Architecture"], architecture: "Architecture | None" = None
) -> tuple[Params, "SearchSpace | None", "Architecture"]:
    """The first space that has the architecture: params.yaml's, then each preset's; or just the one named.

    None where no preset is named and no space is of the family of the architecture that is given.
    """
    from dass.space.search_space import SearchSpace

    refusal, families = None, set()
    blocks = [preset_params(preset)] if preset else [Project.open().params, *all_presets()]
    for params in blocks:
        space = SearchSpace.from_config(params.space)
        families.add(space.family.name)
        try:
            return params, space, member(space)
        except UsageError as error:
            refusal = refusal or error
    if architecture is not None and preset is None and architecture.family.name not in families:
        return blocks[0], None, architecture
    where = f"the preset {preset}'s" if preset else "params.yaml's, and no preset's has it either"
    raise UsageError(f"{refusal} (space: {where})")


def _member(space: "SearchSpace", architecture: "Architecture") -> "Architecture":
    space.check(architecture)
    return architecture


def _read(path: Path) -> "Architecture":
    from dass.space.architecture import Architecture

    try:
        return Architecture.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the architecture file {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, UsageError) as error:
        raise UsageError(f"{path}: {error}") from error


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} takes whole numbers with commas between, found {text!r}") from error
