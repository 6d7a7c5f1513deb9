"""Options that name files of the project, which the current folder may lie below."""

from collections.abc import Callable
from pathlib import Path

from dass.params_file import in_project


def project_default(default: Path) -> Callable[[Path], Path]:
    """The callback of an option whose default is the project's, from whatever folder in it; a given path stays.

    Args:
        default: default of the option, relative to the project.
    """

    def resolve(path: Path) -> Path:
        return in_project(path) if path == default else path

    return resolve
