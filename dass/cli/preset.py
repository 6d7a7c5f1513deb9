"""`dass preset`: lay a preset over params.yaml."""

from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.table import Table

from dass.cli.tables import print_table
from dass.config import Params
from dass.errors import UsageError
from dass.files import write_text
from dass.params_file import load_params

preset_app = typer.Typer(help="Presets of params.yaml.\n\nExample: dass preset use small", no_args_is_help=True)

FOLDER = Path("presets")


@preset_app.command("list")
def list_presets() -> None:
    """Show the presets and which one params.yaml started from.

    Example: dass preset list
    """
    current = load_params(Path("params.yaml")).preset if Path("params.yaml").exists() else None
    table = Table("", "preset", "resolution", "sources x students", "targets", "what for")
    for path in _presets():
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
    force: Annotated[bool, typer.Option(help="Lose edits of params.yaml that no preset holds.")] = False,
) -> None:
    """Write a preset to params.yaml: a visible diff, which DVC sees.

    Example: dass preset use small
    """
    preset_params(name)
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    params = Path("params.yaml")
    if params.exists() and not force:
        present = _values(params)
        if all(present != _values(path) for path in _presets()):
            raise UsageError("params.yaml has edits that no preset holds: copy them away, or add --force to lose them")
    write_text(params, text)
    print(f"params.yaml now holds the preset {name}; `make plan` says what it will take, `make repro` runs it")


def preset_params(name: str) -> Params:
    """The values of a preset.

    Raises:
        UsageError: there is no such preset, or it does not hold.
    """
    presets = {path.stem: path for path in _presets()}
    if name not in presets:
        raise UsageError(f"no preset {name!r} in {FOLDER}/: there are {', '.join(presets)}")
    return load_params(presets[name])


def all_presets() -> list[Params]:
    """The values of every preset, in the order of their names."""
    return [load_params(path) for path in _presets()]


def _presets() -> list[Path]:
    found = sorted(FOLDER.glob("*.yaml"))
    if not found:
        raise UsageError(f"no {FOLDER}/*.yaml here: run from the project's root")
    return found


def _values(path: Path) -> object:
    """What a file says, or the file itself where it cannot be read as YAML and so equals nothing."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError):
        return path


def _first_comment(path: Path) -> str:
    line = path.read_text(encoding="utf-8").splitlines()[0]
    return line.removeprefix(f"# {path.stem}: ") if line.startswith("#") else ""
