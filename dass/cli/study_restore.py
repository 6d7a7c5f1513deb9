"""What a study left in a folder, put back where the pipeline looks for it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from dass.cli.study_folder import LEARNED, TEACHERS
from dass.errors import UsageError
from dass.networks.checkpoint import card_path, load_teacher
from dass.project import Project
from dass.students.database import StudentDatabase
from dass.students.exchange import import_records
from dass.training.curve import curve_path


@dataclass(frozen=True)
class Restored:
    """How much of a study was put back.

    Attributes:
        teachers: that were not there.
        records: of students, likewise.
        predictors: likewise.
        known: teachers, records and predictors that were there.
    """

    teachers: int
    records: int
    predictors: int
    known: int


def restore_study(project: Project, folder: Path) -> Restored:
    """Puts teachers, student records and predictors of a study into a project; what is there stays.

    Args:
        project: with a params.yaml like the study's, or with further targets.
        folder: as `write_study` left it.

    Raises:
        UsageError: there is no study in the folder.
        DassError: a file is damaged; what was put back before that is whole.
    """
    if not (folder / "records").is_dir():
        raise UsageError(f"{folder} holds no study: there is no folder `records`")
    added = known = 0
    for source in sorted((folder / TEACHERS).glob("*/*.safetensors")):
        load_teacher(source)  # whole, and the weights that its card describes
        own = source.parent.name == "source"
        place = project.source_teacher_file(source.stem) if own else project.target_teacher_file(source.stem)
        if place.exists():
            known += 1
            continue
        _copy(source, place)
        added += 1
    records = 0
    for source in sorted((folder / "records").glob("*.parquet")):
        students = project.source_students if source.stem == "source" else project.target_students(source.stem)
        report = import_records(StudentDatabase(students), source)
        records, known = records + report.added, known + report.known
    predictors = 0
    for place in (project.predictor_file, project.ladder_file):
        source = folder / LEARNED / place.name
        if source.exists() and place.exists():
            known += 1
        elif source.exists():
            _copy(source, place)
            predictors += 1
    return Restored(added, records, predictors, known)


def _copy(source: Path, place: Path) -> None:
    """Weights, curve and card, the card last, since without it the pipeline takes the weights for none."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)
    if curve_path(source).exists():
        shutil.copyfile(curve_path(source), curve_path(place))
    shutil.copyfile(card_path(source), card_path(place))
