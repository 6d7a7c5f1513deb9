"""`dass preset`: lay a preset over params.yaml."""

from pathlib import Path
from typing import Annotated

import typer

from dass.params_file import in_project, load_params
from dass.presets import lay_preset, preset_paths

preset_app = typer.Typer(
    help="Show and choose presets of params.yaml.\n\nExample: dass preset use small", no_args_is_help=True
)


@preset_app.command("list")
def list_presets() -> None:
    """Show the presets. `*` marks the preset of params.yaml.

    Example: dass preset list
    """
    from rich.table import Table

    from dass.cli.tables import print_table

    params_file = in_project(Path("params.yaml"))
    current = load_params(params_file).preset if params_file.exists() else None
    table = Table("", "preset", "resolution", "sources x students", "targets", "what for")
    for path in preset_paths():
        params = load_params(path)
        table.add_row(
            "*" if params.preset == current else "",
            params.preset,
            str(params.data.resolution),
            f"{len(params.source.splits)} x {params.students.per_source}",
            str(len(params.targets)),
            _first_comment(path),
        )
    print_table(table)


@preset_app.command("use")
def use_preset(
    name: Annotated[str, typer.Argument(help="One of `dass preset list`.")],
    force: Annotated[bool, typer.Option(help="Overwrite changes of params.yaml that no preset holds.")] = False,
) -> None:
    """Write a preset to params.yaml.

    Example: dass preset use small
    """
    lay_preset(name, force=force)
    print(f"params.yaml now holds the preset {name}; `make plan` says what it will take, `make repro` runs it")


def _first_comment(path: Path) -> str:
    line = path.read_text(encoding="utf-8").splitlines()[0]
    return line.removeprefix(f"# {path.stem}: ") if line.startswith("#") else ""
