"""What a project's pipeline has, as the parts of a release."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dass.config import recipe_ids
from dass.datasets.catalogue import find_dataset
from dass.datasets.packed import open_packed
from dass.errors import UsageError
from dass.networks.checkpoint import weights_id
from dass.project import Project
from dass.shipped.build import Origin
from dass.shipped.card import Kind, Source
from dass.shipped.fixture import Fixture
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.students.database import StudentDatabase
from dass.tasks.stored import stored_target


def learned_file(project: Project, kind: Kind) -> Path:
    """The predictor of a kind that the pipeline has made.

    Raises:
        UsageError: there is none.
    """
    path = project.predictor_file if kind == "dass" else project.multi_fidelity_file
    if not path.exists():
        raise UsageError(f"there is no predictor at {path}: run `make repro` first")
    return path


def targets_of(project: Project) -> list[Fixture]:
    """The project's targets with their distilled students; a student distilled twice counts once, with the mean.

    Raises:
        DassError: a file is damaged.
    """
    found = []
    for name, target in project.params.targets.items():
        if not target.evaluate:
            continue
        stored = stored_target(project, name)
        task = stored.open()
        recipe = stored.recipe(task.data)
        recipes = recipe_ids(recipe, "float32")
        reached: dict[Architecture, list[float]] = {}
        for record in StudentDatabase(stored.students).read_all(name):
            same = (record.data_id, record.teacher_id) == (task.data.data_id, weights_id(task.teacher))
            if same and record.recipe_id in recipes and not record.failure:
                reached.setdefault(record.architecture, []).append(record.final_accuracy)
        if reached:
            found.append(
                Fixture(
                    task.data,
                    task.teacher,
                    task.card,
                    architectures=tuple(reached),
                    accuracies=tuple(float(np.mean(values)) for values in reached.values()),
                    recipe=recipe,
                )
            )
    return found


def origin_of(projects: Sequence[Project], *, summary: str, general: bool, licence: str, commit: str) -> Origin:
    """Where a predictor comes from.

    Args:
        projects: whose source tasks it has learned from.
        summary: one sentence for people.
        general: whether the predictor is to be offered for any teacher.
        licence: licence of the weights.
        commit: git commit of the project.

    Raises:
        DassError: the packed images are missing or damaged.
    """
    return Origin(
        summary=summary,
        families=tuple(dict.fromkeys(SearchSpace.from_config(one.params.space).family.name for one in projects)),
        general=general,
        sources=tuple(_source(one) for one in projects),
        seeds=tuple(dict.fromkeys(one.params.seed for one in projects)),
        licence=licence,
        commit=commit,
    )


def _source(project: Project) -> Source:
    source = project.params.source
    known = find_dataset(source.dataset)
    content = open_packed(project.packed(source.dataset)).card.content
    return Source(source.dataset, content, len(source.splits), known.licence if known else "not known to DaSS")
