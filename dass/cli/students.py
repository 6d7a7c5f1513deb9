"""`dass students`: carry the student-accuracy database, or a distilled student, elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dass.errors import UsageError
from dass.project import Project

if TYPE_CHECKING:
    from dass.students.database import StudentDatabase
    from dass.students.record import StudentRecord

students_app = typer.Typer(
    help="Export, import and remove student records; export a student as ONNX.\n\n"
    "Example: dass students export source records.parquet",
    no_args_is_help=True,
)

Task = Annotated[str, typer.Argument(help="`source`, or a target of params.yaml.")]


@students_app.command("export")
def export_(task: Task, file: Annotated[Path, typer.Argument(help="The Parquet file to write.")]) -> None:
    """Write all records of the source tasks, or of a target, to one portable file.

    Example: dass students export source records.parquet
    """
    from dass.students.exchange import export_records

    print(f"{export_records(_database(task), file)} records written to {file}")


@students_app.command("import")
def import_(task: Task, file: Annotated[Path, typer.Argument(help="A file of `dass students export`.")]) -> None:
    """Add the records of a file. Present records stay.

    Example: dass students import source records.parquet
    """
    from dass.students.exchange import import_records

    result = import_records(
        _database(task), file, lambda name: name.startswith("split") if task == "source" else name == task
    )
    print(f"{result.added} records added, {result.unchanged} known already, {len(result.conflicts)} in conflict")
    for conflict in result.conflicts:
        print(f"  {conflict}")


@students_app.command("remove")
def remove(
    task: Task,
    of: Annotated[
        str | None, typer.Option("--task", help="With `source`: only records of this split, such as split3.")
    ] = None,
    arch_id: Annotated[str | None, typer.Option(help="Only records of this architecture.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only records of this seed.", min=0)] = None,
    teacher_id: Annotated[str | None, typer.Option(help="Only records of this teacher.")] = None,
    recipe_id: Annotated[str | None, typer.Option(help="Only records of this recipe.")] = None,
    data_id: Annotated[str | None, typer.Option(help="Only records of these images.")] = None,
    untrue: Annotated[bool, typer.Option(help="Only records with a field that cannot be true.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Remove nothing, only show what would be removed.")] = False,
) -> None:
    """Remove records from the database. `dvc repro` distils needed students again.

    A record is removed if all given options hold. Give at least one.

    Example: dass students remove source --task split3 --arch-id 0123456789ab

    Example: dass students remove digits --untrue --dry-run
    """
    from dass.students.record_check import problem
    from dass.students.record_file import row_of

    filters = {"task": of, "arch_id": arch_id, "seed": seed, "teacher_id": teacher_id, "recipe_id": recipe_id,
             "data_id": data_id}  # fmt: skip
    asked = {name: value for name, value in filters.items() if value is not None}
    if not asked and not untrue:
        raise UsageError("say which records: give --task, --arch-id, --seed, --teacher-id, --recipe-id, --data-id")

    def wanted(record: "StudentRecord") -> bool:
        fits = all(getattr(record, name) == value for name, value in asked.items())
        return fits and (not untrue or problem(row_of(record)) is not None)

    database = _database(task)
    names = [name for name in database.tasks() if of in (None, name)]
    gone = []
    for name in names:
        if dry_run:
            gone += [record for record in database.read_all(name) if wanted(record)]
        else:
            with database.writer(name) as writer:
                gone += writer.remove(wanted)
    for record in gone:
        print(f"  {record.task} {record.arch_id} seed {record.seed}: {record.final_accuracy:.2f} %")
    print(f"{len(gone)} records {'would be removed' if dry_run else 'removed'}")


@students_app.command("export-onnx")
def export_onnx_(
    target: Annotated[str, typer.Argument(help="A target of params.yaml whose student is distilled.")],
    file: Annotated[Path, typer.Argument(help="The ONNX file to write. The 8-bit file has the ending .int8.onnx.")],
) -> None:
    """Write a target's distilled student as ONNX, in float and in 8-bit integers. Torch checks both files.

    Example: dass students export-onnx digits student.onnx
    """
    from dass.students.onnx_export import export_onnx
    from dass.students.onnx_int8 import WorseError, export_int8, int8_path, spread
    from dass.students.trained import load_student
    from dass.tasks.stored import stored_target
    from dass.training.calibration import calibrate

    project = Project.open()
    stored = stored_target(project, target)
    network, student = load_student(project.student_file(target))
    data = stored.load()
    fit = calibrate(network, data, student.seed, seen=student.data_id == data.data_id)
    images = spread(data.test_images)
    difference = export_onnx(network, data.classes, data.resolution, file, temperature=fit.temperature, images=images)
    print(
        f"{file}: {len(data.classes)} classes at {data.resolution} pixels, "
        f"within {difference:.1g} of torch on {len(images)} test images"
    )
    try:
        exported = export_int8(file, data, int8_path(file))
    except WorseError as error:  # what was asked for is there
        print(error)
        return
    print(
        f"{int8_path(file)}: {exported.int8:.2f} % of {exported.images} test images, "
        f"the other file {exported.float32:.2f} %; {exported.megabytes[1]:.2f} MB, the other "
        f"{exported.megabytes[0]:.2f} MB"
    )


def _database(task: str) -> "StudentDatabase":
    from dass.students.database import StudentDatabase

    project = Project.open()
    if task == "source":
        return StudentDatabase(project.source_students)
    if task in project.params.targets:
        return StudentDatabase(project.target_students(task))
    raise UsageError(f"{task!r} is neither `source` nor a target: targets are {', '.join(project.params.targets)}")
