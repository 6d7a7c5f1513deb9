"""Presets: whole params.yaml files in `presets/`, of the project that the current folder lies in."""

from pathlib import Path

from dass.config import Params
from dass.errors import UsageError
from dass.files import write_text
from dass.params_file import in_project, load_params, read_yaml

FOLDER = Path("presets")


def preset_paths() -> list[Path]:
    """The files of all presets, by name.

    Raises:
        UsageError: there are none here.
    """
    paths = sorted(in_project(FOLDER).glob("*.yaml"))
    if not paths:
        raise UsageError(f"no {FOLDER}/*.yaml here: run from the project's root")
    return paths


def preset_params(name: str) -> Params:
    """The values of a preset.

    Raises:
        UsageError: there is no such preset, or it does not hold.
    """
    presets = {path.stem: path for path in preset_paths()}
    if name not in presets:
        raise UsageError(f"no preset {name!r} in {FOLDER}/: there are {', '.join(presets)}")
    return load_params(presets[name])


def all_presets() -> list[Params]:
    """The values of every preset, in the order of their names."""
    return [load_params(path) for path in preset_paths()]


def lay_preset(name: str, *, force: bool = False) -> None:
    """Writes a preset to params.yaml.

    Args:
        name: name of the preset.
        force: lose edits of params.yaml that no preset holds.

    Raises:
        UsageError: there is no such preset, or there are such edits.
    """
    preset_params(name)
    text = (in_project(FOLDER) / f"{name}.yaml").read_text(encoding="utf-8")
    params = in_project(Path("params.yaml"))
    if params.exists() and not force:
        present = _values(params)
        if all(present != _values(path) for path in preset_paths()):
            raise UsageError("params.yaml has edits that no preset holds: copy them away, or add --force to lose them")
    write_text(params, text)


def _values(path: Path) -> object:
    """What a file says, or the file itself where it cannot be read as YAML and so equals nothing."""
    try:
        return read_yaml(path.read_text(encoding="utf-8"))
    except ValueError:
        return path
