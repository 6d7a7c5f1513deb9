"""What a study left in a folder, put back where the pipeline looks for it."""

from dataclasses import dataclass
from functools import partial
from operator import eq
from pathlib import Path

from dass.baselines.scores import ScoreDatabase
from dass.cards import card_path
from dass.cli.study_folder import LEARNED, SCORES, TEACHERS
from dass.errors import DassError, UsageError
from dass.files import file_sha256, write_bytes
from dass.multi_fidelity.checkpoint import load_multi_fidelity
from dass.networks.checkpoint import load_card, load_teacher
from dass.predictor.checkpoint import load_predictor
from dass.project import MULTI_FIDELITY_FILE, PREDICTOR_FILE, Project
from dass.students.database import StudentDatabase
from dass.students.exchange import import_records
from dass.training.curve import load_curve


@dataclass(frozen=True)
class Restored:
    """How much of a study was put back.

    Attributes:
        teachers: number of teachers that the project had not.
        records: number of student records that the project had not.
        predictors: number of predictors that the project had not.
        scores: files of what methods gave on a target, likewise.
        unchanged: teachers, records, predictors and files of scores that were there.
        refused: what was there with other content, in words; it stays.
    """

    teachers: int
    records: int
    predictors: int
    scores: int
    unchanged: int
    refused: tuple[str, ...] = ()


def restore_study(project: Project, folder: Path) -> Restored:
    """Puts teachers, student records, predictors and scores of a study into a project; what is there stays.

    All files but the records are checked before the first is put back.

    Args:
        project: with a params.yaml like the study's, or with further targets.
        folder: folder that `write_study` wrote.

    Raises:
        UsageError: there is no study in the folder.
        DassError: a file is damaged, or a teacher is another task's; what was put back before that is whole.
    """
    if not (folder / "records").is_dir():
        raise UsageError(f"{folder} holds no study: there is no folder `records`")
    _check(folder)
    added = unchanged = 0
    refused: list[str] = []
    for source in sorted((folder / TEACHERS).glob("*/*.safetensors")):
        card = load_card(source)
        own = source.parent.name == "source"
        path = project.source_teacher_file(source.stem) if own else project.target_teacher_file(source.stem)
        if not card_path(path).exists():  # weights without a card are of a restore that was killed
            _copy(source, path)
            added += 1
        elif load_card(path).teacher_id == card.teacher_id:
            unchanged += 1
        else:
            refused.append(f"{path} is another teacher than the study's")
    records = 0
    for source in sorted((folder / "records").glob("*.parquet")):
        task = source.stem
        if task == "source":
            report = import_records(StudentDatabase(project.source_students), source)
        else:
            report = import_records(StudentDatabase(project.target_students(task)), source, partial(eq, task))
        records, unchanged = records + report.added, unchanged + report.unchanged
        refused += [str(conflict) for conflict in report.conflicts]
    predictors, same = _predictors(project, folder, refused)
    scores, same_scores = _scores(project, folder)
    return Restored(added, records, predictors, scores, unchanged + same + same_scores, tuple(refused))


def _check(folder: Path) -> None:
    """Reads every teacher with its curve, every predictor and all scores of a study.

    Raises:
        DassError: a file is damaged, or a teacher is another task's.
    """
    for source in sorted((folder / TEACHERS).glob("*/*.safetensors")):
        _, card = load_teacher(source)  # whole, and the weights that its card describes
        load_curve(source)
        if card.task != source.stem:
            raise DassError(
                f"{source} is the teacher of task {card.task!r:.60}: put the teacher of {source.stem} there"
            )
    if (source := folder / LEARNED / PREDICTOR_FILE.name).exists():
        load_predictor(source)
    if (source := folder / LEARNED / MULTI_FIDELITY_FILE.name).exists():
        load_multi_fidelity(source)
    for source in sorted((folder / SCORES).glob("*.json")):
        ScoreDatabase(source.parent).read(source.stem)


def _predictors(project: Project, folder: Path, refused: list[str]) -> tuple[int, int]:
    """How many predictors were put back, and how many were there."""
    added = unchanged = 0
    for path in (project.predictor_file, project.multi_fidelity_file):
        source = folder / LEARNED / path.name
        if not source.exists():
            continue
        if not (path.exists() and card_path(path).exists()):  # a part alone is of no use
            _copy(source, path)
            added += 1
        elif file_sha256(path) == file_sha256(source):
            unchanged += 1
        else:
            refused.append(f"{path} is another predictor than the study's")
    return added, unchanged


def _scores(project: Project, folder: Path) -> tuple[int, int]:
    """How many files of scores were put back, and how many were there.

    Each score has the key of all that it depends on, so that none is taken for another.
    """
    added = unchanged = 0
    for source in sorted((folder / SCORES).glob("*.json")):
        path = project.scores / source.name
        if path.exists():
            unchanged += 1
        else:
            write_bytes(path, source.read_bytes())
            added += 1
    return added, unchanged


def _copy(source: Path, destination: Path) -> None:
    """Weights, curve and card, the card last, since without it the pipeline takes the weights for none."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".safetensors", ".curve.json", ".json"):
        if (original := source.with_suffix(suffix)).exists():
            write_bytes(destination.with_suffix(suffix), original.read_bytes())
