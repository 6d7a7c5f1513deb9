"""`dass study`: what a study found, in a folder that can be committed."""

from pathlib import Path
from typing import Annotated

import typer

from dass.project import Project


def study(
    folder: Annotated[Path, typer.Argument(help="Where to; what an earlier study left there is replaced.")],
) -> None:
    """Write a study's records (no weights), splits, tables and pictures into a folder, with how they were made.

    `dass students import` takes the records back, on this machine or another.

    Example: dass study docs/study/small
    """
    from dass.cli.study_folder import write_study

    project = Project.open()
    write_study(project, folder)
    print(f"{folder}: records, splits, tables and pictures of preset {project.params.preset}")
