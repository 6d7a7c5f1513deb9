"""`dass students`: carry the student-accuracy database, or a distilled student, elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from dass.errors import UsageError
from dass.networks.checkpoint import load_card
from dass.project import Project
from dass.students.database import StudentDatabase
from dass.students.exchange import export_records, import_records
from dass.students.onnx_export import export_onnx
from dass.students.trained import load_student

students_app = typer.Typer(
    help="Carry student records, or a student, elsewhere.\n\nExample: dass students export source records.parquet",
    no_args_is_help=True,
)

Task = Annotated[str, typer.Argument(help="`source`, or a target of params.yaml.")]


@students_app.command("export")
def export_(task: Task, file: Annotated[Path, typer.Argument(help="The Parquet file to write.")]) -> None:
    """Write all records of the source tasks, or of a target, to one portable file.

    Example: dass students export source records.parquet
    """
    print(f"{export_records(_database(task), file)} records written to {file}")


@students_app.command("import")
def import_(task: Task, file: Annotated[Path, typer.Argument(help="A file of `dass students export`.")]) -> None:
    """Merge records from elsewhere, record by record; what is there stays, nothing is doubled.

    Example: dass students import source records.parquet
    """
    result = import_records(
        _database(task), file, lambda name: name.startswith("split") if task == "source" else name == task
    )
    print(f"{result.added} records added, {result.known} known already, {len(result.conflicts)} in conflict")
    for conflict in result.conflicts:
        print(f"  {conflict}")


@students_app.command("export-onnx")
def export_onnx_(
    target: Annotated[str, typer.Argument(help="A target of params.yaml whose student is distilled.")],
    file: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
) -> None:
    """Write a target's distilled student as ONNX, checked against torch: uint8 images in, probabilities out.

    Example: dass students export-onnx digits student.onnx
    """
    project = Project.open()
    project.target(target)
    card = load_card(project.target_teacher_file(target))
    network, _ = load_student(project.student_file(target))
    difference = export_onnx(network, card.classes, card.resolution, file)
    print(f"{file}: {len(card.classes)} classes at {card.resolution} pixels, within {difference:.1g} of torch")


def _database(task: str) -> StudentDatabase:
    project = Project.open()
    if task == "source":
        return StudentDatabase(project.source_students)
    if task in project.params.targets:
        return StudentDatabase(project.target_students(task))
    raise UsageError(f"{task!r} is neither `source` nor a target: targets are {', '.join(project.params.targets)}")
