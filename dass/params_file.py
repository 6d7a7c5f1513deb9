"""Finds and reads params.yaml; what it may hold is `dass.config`."""

import os
import warnings
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from dass.config import SPACE_TAGS, Params
from dass.errors import UsageError
from dass.old_params import with_todays_names


def find_root(start: Path | None = None) -> Path:
    """The project that a folder lies in: the nearest folder upwards with a params.yaml, or `start` where there is none.

    Args:
        start: the folder (default: the current one).
    """
    start = (start or Path.cwd()).resolve()
    return next((folder for folder in (start, *start.parents) if (folder / "params.yaml").is_file()), start)


def in_project(path: Path) -> Path:
    """A path of the project's own, such as `data/raw`, as the current folder, which may lie below, reaches it."""
    root = find_root()
    return path if root == Path.cwd() else Path(os.path.relpath(root / path))


def find_params() -> Params | None:
    """The params.yaml of the project that the current folder lies in; None outside of any.

    Raises:
        UsageError: as in `load_params`.
    """
    path = in_project(Path("params.yaml"))
    return load_params(path) if path.is_file() else None


def read_yaml(text: str) -> object:
    """What YAML says, as DVC understands it: YAML 1.2, where 012 is twelve and `yes` a word.

    Raises:
        ValueError: it is not YAML, or a key stands twice, of which others would silently take the last.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an anchor that is used again
            return YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        raise ValueError(_twice(error)) from error
    except Exception as error:  # beside its own kind the library lets half a dozen of Python's pass
        what = "" if isinstance(error, YAMLError | ValueError) else f"a value cannot be read, {type(error).__name__}: "
        raise ValueError(f"{what}{error}") from error


def load_params(path: Path) -> Params:
    """Reads and checks a params.yaml.

    Raises:
        UsageError: the file is missing, not YAML, or a key is unknown, missing, mistyped or out of range;
            the message names file and key.
    """
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}; run from the project's root") from error
    except ValueError as error:  # not UTF-8 either
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    return parse_params(values, str(path))


def parse_params(values: object, where: str) -> Params:
    """Checks values as they come out of YAML; `where` names their origin in errors.

    Raises:
        UsageError: as in `load_params`.
    """
    if not isinstance(values, dict):
        raise UsageError(f"{where}: expected a mapping of blocks, found {type(values).__name__}")
    try:
        return Params.model_validate(with_todays_names(values))
    except ValidationError as error:
        first, *others = error.errors()
        parts = [str(part) for part in first["loc"] if part not in SPACE_TAGS]
        key = [".".join(parts)] if parts else []  # a check of the whole names it
        more = [f"({len(others)} more after this)"] if others else []
        line = ": ".join([where, *key, " ".join([_problem(first), *more])])
        raise UsageError(" ".join(line.split())) from error


def _twice(error: DuplicateKeyError) -> str:
    """Which key it is; what follows in ruamel's words is advice to programmers."""
    line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
    return f"{str(error.problem).partition(' with ')[0].removeprefix('found duplicate ')}{line} stands twice"


# What YAML has in place of Python's kinds, by pydantic's names of errors.
_SHAPES = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a block of keys",
    "model_type": "a block of keys",
    "model_attributes_type": "a block of keys",
}


def _problem(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return "unknown key; remove it or correct its spelling"
    if error["type"] == "missing":
        if isinstance(error["loc"][-1], int):
            return "missing; the list is too short"
        return "missing; add it (each preset shows every key)"
    if error["type"] in _SHAPES:
        return f"must be {_SHAPES[error['type']]}, found {error['input']!r:.60}"
    if error["type"] in ("too_short", "too_long"):
        limits = error.get("ctx", {})
        least, most = limits.get("min_length"), limits.get("max_length")
        wanted = f"at least {least}" if least is not None else f"at most {most}"
        entries = "entry" if wanted.endswith(" 1") else "entries"
        return f"must have {wanted} {entries}, found {limits.get('actual_length')}"
    return message if error["type"] == "value_error" else f"{message}, found {error['input']!r:.60}"
