"""Whatever params.yaml accepts, the tiny pipeline runs: a property, tried on `DASS_EXAMPLES` configurations (5).

That whatever it refuses is named by its key is the other half, in tests/unit/test_config.py.
"""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dass.config import Params
from dass.datasets.importing import import_dataset
from dass.datasets.packed import load_target, open_packed
from dass.datasets.splits import load_split, make_splits
from dass.datasets.task_data import TaskData
from dass.errors import DassError, UsageError
from dass.evidence.collector import Collector
from dass.evidence.store import EvidenceStore
from dass.ladder.ladder import RUNGS, Ladder, LadderTask, Rung, gather
from dass.networks.checkpoint import load_teacher
from dass.networks.elastic_resnet import ElasticResNet
from dass.params_file import parse_params
from dass.predictor.checkpoint import PredictorCard, load_predictor, save_predictor
from dass.predictor.embeddings import fixed_noise
from dass.predictor.meta import MetaLearner
from dass.predictor.tasks import TaskTensors, build_task
from dass.search.candidates import Budget
from dass.search.climb import Effort, climb
from dass.search.run import Guide, SearchResult, search_students
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.students.build import build_students, student_record, task_key
from dass.students.database import StudentDatabase
from dass.students.plan import source_jobs
from dass.students.trained import TrainedStudent, load_student, save_student
from dass.training.recipes import distill, train_and_save_teacher
from dass.training.workers import Workers
from tests.e2e.sandbox import tiny_params

pytestmark = pytest.mark.service

EXAMPLES = int(os.environ.get("DASS_EXAMPLES", "5"))
RESOLUTIONS = [16, 24]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The handwritten digits, packed at each resolution."""
    folder = tmp_path_factory.mktemp("raw")
    for resolution in RESOLUTIONS:
        import_dataset("digits", None, folder, resolution)
    return folder


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Values of params.yaml, anything that is allowed within sizes that train in a second."""
    values = tiny_params() | {"datasets": ["digits"], "seed": draw(st.integers(0, 2**31 - 1))}
    values["data"]["resolution"] = draw(st.sampled_from(RESOLUTIONS))
    widths = st.integers(4, 12)
    values["space"] = {
        "widths": [draw(widths) for _ in range(4)],
        "max_depth": draw(st.integers(1, 2)),
        "ratios": [*sorted(draw(st.sets(st.sampled_from([0.25, 0.5, 0.75])))), 1.0],
        "granularity": draw(st.sampled_from(["stage", "block"])),
    }
    groups = draw(st.integers(1, 2))
    splits = draw(st.permutations(range(2 * groups)))[: draw(st.integers(2, 2 * groups))]
    values["source"] = {
        "dataset": "digits",
        "groups": groups,
        "classes_per_group": draw(st.sampled_from([2, 3])),
        "splits": list(splits),
        "validation": list(splits[: draw(st.integers(1, len(splits) - 1))]),
    }
    for block in ("teacher", "distillation"):
        values[block] |= {
            "epochs": draw(st.integers(1, 2)),
            "min_steps": draw(st.integers(0, 30)),
            "batch_size": draw(st.integers(30, 60)),
            "learning_rate": draw(st.floats(1e-4, 0.1)),
            "momentum": draw(st.floats(0, 0.99)),
            "weight_decay": draw(st.floats(0, 0.01)),
            "precision": draw(st.sampled_from(["auto", "float32", "bfloat16"])),
            "augmentation": {"flip": draw(st.booleans()), "crop_padding": draw(st.integers(0, 20))},
        }
    values["teacher"] |= {"label_smoothing": draw(st.floats(0, 0.9)), "warmup_epochs": draw(st.integers(0, 1))}
    values["distillation"] |= {
        "alpha": draw(st.floats(0, 1)), "temperature": draw(st.floats(0.5, 100)), "evaluations": 1
    }  # fmt: skip
    values["students"] = {"per_source": draw(st.integers(2, 3)), "per_target": 2, "group": draw(st.integers(1, 4))}
    values["predictor"] = {
        "episodes": draw(st.integers(1, 4)),
        "query": draw(st.integers(2, 10)),
        "inner_steps": draw(st.integers(0, 2)),
        "inner_rate": draw(st.floats(1e-4, 0.1)),
        "learning_rate": draw(st.floats(1e-5, 0.01)),
        "validate_every": draw(st.integers(1, 6)),
    }
    values["search"] |= {"candidates": draw(st.integers(1, 30)), "top": draw(st.integers(1, 50))}
    values["search"]["starts"] = draw(st.integers(1, values["search"]["candidates"]))
    values["search"]["sprints"] = draw(st.integers(0, values["search"]["starts"]))
    values["search"] |= {"steps": draw(st.sampled_from([5, 10, 20, 50])), "evolve": draw(st.booleans())}
    return values


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize="DASS_EXAMPLES" not in os.environ, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(values=configurations())
@pytest.mark.timeout(600 + 60 * EXAMPLES)
def test_every_accepted_configuration_runs_the_tiny_pipeline(raw: Path, values: dict[str, Any]) -> None:
    params = parse_params(values, "params.yaml")
    space = SearchSpace.from_config(params.space)
    with tempfile.TemporaryDirectory() as folder:
        wanted = max(params.students.per_source, params.search.candidates)
        try:
            space.sample(wanted, np.random.default_rng(0))
        except UsageError as error:  # a space may hold one architecture: said in a line, before any work
            assert "\n" not in str(error)
            return
        try:
            run(params, space, raw, Path(folder))
        except DassError as error:  # a rate too high for these images: said in a line, with what to do
            assert "diverged" in str(error) or "usable students" in str(error)


def run(params: Params, space: SearchSpace, raw: Path, folder: Path) -> None:
    """The stages of dvc.yaml, one after the other, in this process."""
    packed = raw / f"digits-{params.data.resolution}"
    splits = make_splits(open_packed(packed), params.source.groups, params.source.classes_per_group, params.seed)
    tasks = {
        split.index: source_task(params, space, partial(load_split, packed, split), folder)
        for split in splits
        if split.index in params.source.splits
    }
    block = params.predictor
    learner = MetaLearner(
        episodes=block.episodes, query=block.query, inner_steps=block.inner_steps, inner_rate=block.inner_rate,
        learning_rate=block.learning_rate, validate_every=block.validate_every, seed=params.seed, device="cpu",
    )  # fmt: skip
    training = [task for index, (task, _) in tasks.items() if index not in params.source.validation]
    learner.fit(training, [tasks[index][0] for index in params.source.validation], checkpoint=folder / "partial")
    card = PredictorCard(
        space=space, resolution=params.data.resolution, noise_seed=params.seed, training=("a",), validation=("b",),
        students=2.0, teacher_ids=("a", "b"), episodes=block.episodes, best_episode=learner.best_.episode,
        validation_src=learner.best_.src, seed=params.seed, precision="float32", device="cpu", torch_version="2",
        seconds=1.0,
    )  # fmt: skip
    save_predictor(folder / "predictor.safetensors", learner.result_, card)

    load = partial(load_target, packed)
    guide = Guide.of(*teacher(params, space, load, folder / "digits.safetensors"))
    predictor, card = load_predictor(folder / "predictor.safetensors")
    found = search_students(
        predictor, card, "p" * 12, guide, budget=Budget(params.search.max_macs, params.search.max_params),
        count=params.search.candidates, seed=params.seed,
    )  # fmt: skip
    assert len(found.ranking) == params.search.candidates
    climbed = search_by_ladder(params, space, [known for _, known in tasks.values()], guide, load())
    assert len(climbed.ranking) == params.search.candidates
    sprinted = sum(candidate.rung.startswith("sprint") for candidate in climbed.ranking)
    assert sprinted == params.search.sprints
    recipe = params.distillation.for_images(len(load().train_labels))
    [student] = distill(guide.teacher, [found.pick.architecture], load(), recipe, seed=params.seed, device=CPU)
    record = student_record(student, task_key(load(), guide.teacher, recipe, CPU), load(), CPU)
    if record.failure:  # it diverged, and says so
        return
    save_student(folder / "student.safetensors", student.network, TrainedStudent.of(record, 10))
    assert load_student(folder / "student.safetensors")[1].final_accuracy == record.final_accuracy


def source_task(
    params: Params, space: SearchSpace, load: Callable[[], TaskData], folder: Path
) -> tuple[TaskTensors, LadderTask]:
    """Teacher, students, embeddings and evidence of a source task."""
    data = load()
    network, card = teacher(params, space, load, folder / f"{data.name}.safetensors")
    recipe = params.distillation.for_images(len(data.train_labels))
    key, database = task_key(data, network, recipe, CPU), StudentDatabase(folder)
    jobs = source_jobs(space, params.students.per_source, params.seed, data.name)
    with database.writer(data.name) as writer:
        for records in build_students(
            network, load, jobs, recipe, workers=Workers(0), device=CPU, group=params.students.group
        ):
            writer.append(records)
    assert database.missing(key, jobs) == []
    records = database.read(key)
    architectures = [Architecture.from_json(record.architecture) for record in records]
    accuracies = [record.final_accuracy for record in records]
    tensors = build_task(
        data.name, network, card.accuracy, space, fixed_noise(params.data.resolution, params.seed),
        architectures=architectures, accuracies=accuracies,
    )  # fmt: skip
    evidence = gather(collector(params, network, data), architectures, rung(params))
    return tensors, LadderTask(evidence, np.array(accuracies), card.accuracy, len(data.classes), len(data.test_labels))


def search_by_ladder(
    params: Params, space: SearchSpace, tasks: list[LadderTask], guide: Guide, data: TaskData
) -> SearchResult:
    """Learns a ladder and climbs it."""
    rungs = RUNGS[: RUNGS.index(rung(params)) + 1]
    ladder = Ladder(alpha=params.distillation.alpha, temperature=params.distillation.temperature).fit(tasks, rungs)
    block = params.search
    return climb(
        ladder, "l" * 12, collector(params, guide.teacher, data), space, guide, test_images=len(data.test_labels),
        budget=Budget(block.max_macs, block.max_params),
        effort=Effort(block.candidates, block.starts, block.sprints, block.evolve), seed=params.seed,
    )  # fmt: skip


def rung(params: Params) -> Rung:
    """The highest that params.yaml asks for."""
    [found] = [one for one in RUNGS if one == f"sprint {params.search.steps}"]
    return found


def collector(params: Params, network: ElasticResNet, data: TaskData) -> Collector:
    """Of evidence about students of a task."""
    return Collector(
        network, data, fixed_noise(params.data.resolution, params.seed), params.distillation, workers=Workers(0),
        store=EvidenceStore(None), device=CPU, seed=params.seed,
    )  # fmt: skip


def teacher(params: Params, space: SearchSpace, load: Callable[[], TaskData], path: Path) -> tuple[Any, Any]:
    """Trains a teacher, as its stage does, and reads it back."""
    recipe = params.teacher.for_images(len(load().train_labels))
    train_and_save_teacher(load, space.largest, recipe, path, seed=params.seed, device="cpu")
    return load_teacher(path)
