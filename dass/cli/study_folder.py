"""What a study found, in a folder that can be committed."""

import importlib.metadata
import json
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from dass.config import recipe_ids
from dass.datasets.packed import open_packed
from dass.errors import DassError, UsageError
from dass.files import read_json, write_json, write_text
from dass.networks.checkpoint import TeacherCard, load_card
from dass.project import Project
from dass.students.database import StudentDatabase
from dass.students.record import StudentRecord, TaskKey
from dass.students.record_file import write_records

TEACHERS, LEARNED, SCORES = "teachers", "learned", "scores"
PACKAGES = ("torch", "torchvision", "numpy", "scipy")
REPORTS = (
    "tables.md", "correlations.csv", "picks.csv", "few_shot.csv", "metrics.json", "lengths.csv", "lengths.md",
    "evolve.md", "tables", "figures", "scatter",
)  # fmt: skip


def write_study(project: Project, folder: Path, *, teachers: bool = False) -> None:
    """Writes a study's records, splits, tables and pictures into a folder, with how they were made.

    Args:
        project: project whose pipeline has run.
        folder: folder to write to; an earlier study in it is replaced.
        teachers: whether the teachers' weights and what was learned go there too.

    Raises:
        UsageError: there are no reports yet, or something else than a study lies in the folder.
        DassError: there are no students of the present teachers and recipe, or a file cannot be read or written.
    """
    if not (project.reports / "metrics.json").exists():
        raise UsageError("there are no reports yet: run `make repro` first")
    cards = [load_card(path) for path in sorted(project.source_teachers.glob("*.safetensors"))]
    records = {"source": _records(project, StudentDatabase(project.source_students), cards)}
    for name, target in project.params.targets.items():
        cards.append(load_card(project.target_teacher_file(name)))
        if target.evaluate:
            records[name] = _records(project, StudentDatabase(project.target_students(name)), cards[-1:])
    _check_folder(project, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*REPORTS, "splits", "records", "multi_fidelity.json", TEACHERS, LEARNED, SCORES):
        copy = folder / name
        if copy.is_dir():
            shutil.rmtree(copy)
        copy.unlink(missing_ok=True)
    for name in REPORTS:
        source = project.reports / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        elif source.exists():
            shutil.copyfile(source, folder / name)
    shutil.copyfile(project.root / "params.yaml", folder / "params.yaml")
    shutil.copytree(project.splits, folder / "splits", ignore=shutil.ignore_patterns(".*"))
    (folder / "records").mkdir()
    for name, of_task in records.items():
        write_records(folder / "records" / f"{name}.parquet", of_task)
    if teachers:
        _copy_learned(project, folder)
    if (multi_fidelity := project.multi_fidelity_file.with_suffix(".json")).exists():
        write_json(folder / "multi_fidelity.json", read_json(multi_fidelity)["card"])
    every = [record for of_task in records.values() for record in of_task]
    write_text(folder / "README.md", "\n".join(_page(project, cards, every)) + "\n")


def _check_folder(project: Project, folder: Path) -> None:
    """Refuses a folder in which something else lies than a study, or that the project uses itself.

    Raises:
        UsageError: such a folder.
    """
    target, root = folder.resolve(), project.root.resolve()
    own = [root / name for name in ("data", "reports", "dass", "flows", "presets", ".dvc", ".git")]
    if target == root or target in root.parents or any(target == one or one in target.parents for one in own):
        raise UsageError(f"{folder} is a folder that the project uses itself: give another, such as docs/study/mine")
    if folder.is_file():
        raise UsageError(f"{folder} is a file: give a folder")
    is_study = (folder / "records").is_dir() and (folder / "params.yaml").is_file()
    if folder.is_dir() and any(folder.iterdir()) and not is_study:
        raise UsageError(f"{folder} is not empty and holds no study, which alone is replaced: give another folder")


def _copy_learned(project: Project, folder: Path) -> None:
    """The teachers' weights and cards, the predictors, and what methods gave."""
    files = {path: Path(TEACHERS) / "source" / path.name for path in project.source_teachers.glob("*.safetensors")}
    files |= {
        project.target_teacher_file(name): Path(TEACHERS) / "targets" / f"{name}.safetensors"
        for name in project.params.targets
    }
    files |= {path: Path(LEARNED) / path.name for path in (project.predictor_file, project.multi_fidelity_file)}
    for source, relative in files.items():
        if source.exists():
            for suffix in (".safetensors", ".json", ".curve.json"):
                copy = (folder / relative).with_suffix(suffix)
                copy.parent.mkdir(parents=True, exist_ok=True)
                if source.with_suffix(suffix).exists():
                    shutil.copyfile(source.with_suffix(suffix), copy)
    for source in sorted(project.scores.glob("*.json")):
        (folder / SCORES).mkdir(exist_ok=True)
        shutil.copyfile(source, folder / SCORES / source.name)


def _records(project: Project, database: StudentDatabase, cards: Sequence[TeacherCard]) -> list[StudentRecord]:
    """All students, failed ones too, of these teachers and the present recipe; others may lie beside them."""
    keys = set()
    for card in cards:
        recipe = project.params.distillation.for_images(card.train_images)
        ids = recipe_ids(recipe, "float32" if recipe.precision == "auto" else recipe.precision)
        keys |= {TaskKey(card.task, card.data_id, card.teacher_id, one) for one in ids}
    records = [record for card in cards for record in database.read_all(card.task) if record.key in keys]
    if not records:
        raise DassError(f"{database.folder} has no students of the present teachers and recipe: run `make repro` first")
    return records


def _page(project: Project, cards: Sequence[TeacherCard], records: Sequence[StudentRecord]) -> Iterator[str]:
    seconds = sum(record.seconds for record in records) + sum(card.seconds for card in cards)
    preset = project.params.preset
    yield f"# Study `{preset}`"
    yield ""
    yield (
        f"Made by `dass preset use {preset}`, `make repro` and `dass study save`, from the `params.yaml` beside this "
        "page."
    )
    yield ""
    yield f"- seed {project.params.seed}; {len(records)} students of {len(cards)} teachers"
    yield f"- device: {', '.join(sorted({record.device for record in records}))}"
    yield f"- {', '.join(f'{name} {importlib.metadata.version(name)}' for name in PACKAGES)}"
    yield f"- {seconds / 3600:.1f} process-hours of training, proxies and meta-learning not counted"
    yield from _data(project)
    yield ""
    yield "## Teachers"
    yield ""
    yield from _teachers(cards)
    yield ""
    yield "## Students"
    yield ""
    yield from _students(project, records)
    yield ""
    yield "`tables.md` holds the comparison of all methods; `docs/evaluation.md` explains it."


def _data(project: Project) -> Iterator[str]:
    for name in project.params.datasets:
        for side in (project.params.data.resolution, *project.params.further_resolutions(name)):
            card = open_packed(project.packed(name, side)).card
            yield (
                f"- data `{name}`: {card.train_count} training and {card.test_count} test images at {card.resolution} "
                f"pixels, content `{card.content}`"
            )


def _teachers(cards: Sequence[TeacherCard]) -> Iterator[str]:
    yield "| task | classes | training images | accuracy % | chance % |"
    yield "| --- | --- | --- | --- | --- |"
    for card in cards:
        chance = 100 / len(card.classes)
        yield (f"| {card.task} | {len(card.classes)} | {card.train_images} | {card.accuracy:.1f} | {chance:.1f} |")


def _students(project: Project, records: Sequence[StudentRecord]) -> Iterator[str]:
    targets = read_json(project.reports / "metrics.json")["targets"]
    yield "| target | students | mean % | deviation | error of one | deviation / error | in means | ceiling |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, row in targets.items():
        if "students" not in row:
            continue
        ratio = row["accuracy_deviation"] / (row["accuracy_error"] or math.inf)
        ceiling = f"{row['noise_ceiling']:.2f}" if row["noise_ceiling"] is not None else "-"
        yield (
            f"| {name} | {row['students']} | {row['accuracy_mean']:.1f} | {row['accuracy_deviation']:.2f} | "
            f"{row['accuracy_error']:.2f} | {ratio:.1f} | {'yes' if row['counts_in_mean'] else 'no'} | {ceiling} |"
        )
    failed = [record for record in records if record.failure]
    if failed:
        yield ""
        yield f"{len(failed)} students failed: {json.dumps(sorted({record.failure for record in failed}))}"
