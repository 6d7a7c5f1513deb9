"""`dass study`: what a study found, in a folder that can be committed, and back from there."""

from pathlib import Path
from typing import Annotated

import typer

from dass.project import Project

study_app = typer.Typer(
    no_args_is_help=True,
    help="Save a project's results as a study, and go on from one.\n\nExample: dass study save docs/study/small",
)


@study_app.command()
def save(
    folder: Annotated[Path, typer.Argument(help="Folder to write. An earlier study in the folder is replaced.")],
    teachers: Annotated[
        bool,
        typer.Option(help="Also write teachers, about 2 MB each in preset small. `restore` then trains none again."),
    ] = False,
) -> None:
    """Write records, splits, tables and pictures of this project into a folder.

    Example: dass study save docs/study/small --teachers
    """
    from dass.cli.study_folder import write_study

    project = Project.open()
    write_study(project, folder, teachers=teachers)
    print(f"{folder}: records, splits, tables and pictures of preset {project.params.preset}")


@study_app.command()
def restore(folder: Annotated[Path, typer.Argument(help="A folder that `dass study save` wrote.")]) -> None:
    """Put teachers, student records and predictors of a study into this project.

    Present files stay. `dvc repro` then trains none of these teachers and students again, on any machine.

    Example: dass study restore docs/study/small
    """
    from dass.cli.study_restore import restore_study

    report = restore_study(Project.open(), folder)
    print(
        f"{report.teachers} teachers, {report.records} student records, {report.predictors} predictors and the scores "
        f"of {report.scores} targets restored; {report.unchanged} were there already"
    )
    if not report.teachers + report.unchanged:
        print("the study holds no teachers, which `dass study save --teachers` keeps: they are trained anew")
    for line in report.refused:
        print(f"  kept: {line}")
