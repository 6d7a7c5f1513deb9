"""Whatever params.yaml accepts, the tiny pipeline runs: a property, tried on `DASS_EXAMPLES` configurations (5).

That whatever it refuses is named by its key is the other half, in tests/unit/test_config.py.
"""

import csv
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect.settings import PREFECT_API_URL, temporary_settings

from dass.datasets.importing import import_dataset
from dass.errors import DassError, UsageError
from dass.method_names import FEW_SHOT, METHODS
from dass.project import Project
from dass.space.search_space import SearchSpace
from dass.students.trained import load_student
from dass.tracking.store import open_store
from flows.stages.distil import distil
from flows.stages.evaluate import evaluate
from flows.stages.meta_train import meta_train
from flows.stages.multi_fidelity import multi_fidelity
from flows.stages.rank import rank
from flows.stages.register import register
from flows.stages.search import search
from flows.stages.splits import splits
from flows.stages.students import students
from flows.stages.target_students import target_students
from flows.stages.teacher import teacher
from flows.stages.teachers import teachers
from tests.e2e.sandbox import tiny_params

pytestmark = pytest.mark.service

EXAMPLES = int(os.environ.get("DASS_EXAMPLES", "5"))
RESOLUTIONS = [16, 24]
# The pipeline of dvc.yaml, its stages in their order.
STAGES = [
    splits, teachers, students, meta_train, multi_fidelity,
    *(partial(stage, "digits") for stage in (teacher, target_students, search, distil, register)),
    rank, evaluate,
]  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the handwritten digits, packed at each resolution, and an empty tracking database."""
    folder = tmp_path_factory.mktemp("template")
    for resolution in RESOLUTIONS:
        import_dataset("digits", None, folder / "data" / "raw", resolution)
    open_store(folder)
    return folder


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Values of params.yaml, anything that is allowed within sizes that train in a second."""
    values = tiny_params() | {"datasets": ["digits"], "seed": draw(st.integers(0, 2**31 - 1))}
    values["data"]["resolution"] = draw(st.sampled_from(RESOLUTIONS))
    widths = st.integers(4, 12)
    values["space"] = {
        "widths": [draw(widths) for _ in range(4)],
        "max_depth": draw(st.sampled_from([2, 2, 2, 1])),
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
            "learning_rate": draw(st.floats(1e-4, 0.05)),
            "momentum": draw(st.floats(0, 0.9)),
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
        "statistics": draw(st.sampled_from(["running", "batch"])),
        "unit": draw(st.sampled_from([1.0, 50.0])),
    }
    values["search"] |= {"candidates": draw(st.integers(1, 30)), "top": draw(st.integers(1, 50))}
    values["search"]["one_batch"] = draw(st.integers(1, values["search"]["candidates"]))
    values["search"]["k_step"] = draw(st.integers(0, values["search"]["one_batch"]))
    values["search"] |= {"steps": draw(st.sampled_from([5, 10, 20, 50]))}
    values["search"]["method"] = draw(st.sampled_from(["dass", "multi_fidelity"]))
    others = draw(st.permutations(METHODS))[: draw(st.integers(0, 4))]
    values["evaluation"] |= {
        "methods": ["dass", *(name for name in others if name != "dass")],
        "seeds": draw(st.integers(1, 2)),
        "budgets": sorted(draw(st.sets(st.floats(0.01, 0.99), max_size=2))),
        "picks": draw(st.sampled_from([[], ["dass"], ["dass", "parameters"]])),
        "pick_seeds": draw(st.integers(1, 2)),
        "confidence": draw(st.floats(50, 99)),
    }
    if "parameters" in values["evaluation"]["picks"] and "parameters" not in values["evaluation"]["methods"]:
        values["evaluation"]["methods"].append("parameters")
    return values


@pytest.mark.timeout(600 + 240 * EXAMPLES)
def test_every_accepted_configuration_runs_the_tiny_pipeline(
    template: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings: list[str] = []

    @settings(
        max_examples=EXAMPLES, derandomize="DASS_EXAMPLES" not in os.environ, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(values=configurations())
    def runs(values: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
            root = Path(folder) / "project"
            shutil.copytree(template, root)
            (root / "params.yaml").write_text(yaml.safe_dump(values))
            patch.chdir(root)
            patch.setenv("DASS_WORKERS", "2")
            with temporary_settings({PREFECT_API_URL: prefect_api}):
                endings.append(run(Project.open()))

    runs()
    print(*endings, sep="\n")
    assert endings.count("whole") >= len(endings) / 3, endings


def run(project: Project) -> str:
    """Runs every stage; how it ended: `whole`, or the line that said why it cannot."""
    params = project.params
    wanted = max(params.students.per_source, params.students.per_target, params.search.candidates)
    try:  # a space may hold one architecture: said in a line, before any work
        SearchSpace.from_config(params.space).sample(wanted, np.random.default_rng(0))
    except UsageError as error:
        assert "\n" not in str(error)
        return str(error)
    try:
        for stage in STAGES:
            stage()
    except DassError as error:  # a rate too high for these images: said in a line, with what to do
        assert "diverged" in str(error) or "usable students" in str(error)
        return str(error)
    check(project)
    return "whole"


def check(project: Project) -> None:
    """That the last stages left what they should."""
    _, student = load_student(project.student_file("digits"))
    assert 0 <= student.final_accuracy <= 100
    [version] = open_store(project.root).client.search_model_versions("name='dass-student-digits'")
    assert int(version.version) == 1
    with (project.reports / "correlations.csv").open() as file:
        compared = {row["method"] for row in csv.DictReader(file) if row["metric"] == "src"}
    assert compared >= set(project.params.evaluation.methods) - set(FEW_SHOT)
