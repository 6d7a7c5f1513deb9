"""What an entry point may not import, since each of these costs whoever waits for it a good part of a second."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.run import full_name

ROOT = Path(__file__).parents[2]
COMPUTING = frozenset({
    "torch", "torchvision", "mlflow", "prefect", "scipy", "sklearn", "matplotlib", "pyarrow", "pandas", "fastapi",
    "sqlalchemy", "PIL",
})  # fmt: skip
DASS = "from dass.cli.main import main; main({!r})"
COMPLETION = {"_DASS_COMPLETE": "complete_bash", "COMP_WORDS": "dass sea", "COMP_CWORD": "1"}


def intruders(code: str, forbidden: frozenset[str], **environment: str) -> dict[str, str]:
    """The forbidden packages that some code imports, each with the chain of imports that leads to it."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    lines = [line.rpartition("| ")[2] for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert (done.returncode, "dass" in {line.strip() for line in lines}) == (0, True), done.stderr
    found: dict[str, str] = {}
    chain: list[str] = []  # of the module at hand: a module is told of after those that it imports
    for line in reversed(lines):
        name = line.strip()
        del chain[(len(line) - len(line.lstrip())) // 2 :]
        chain.append(name)
        if name in forbidden:
            found[name] = " -> ".join(chain)
    return found


@pytest.mark.parametrize("words", [[], ["search"], ["shrink"], ["data", "import"]], ids=" ".join)
def test_help_imports_nothing_that_computes(words: list[str]) -> None:
    assert intruders(DASS.format([*words, "--help"]), COMPUTING | {"numpy"}) == {}


def test_completion_imports_nothing_that_computes() -> None:
    assert intruders(DASS.format([]), COMPUTING | {"numpy"}, **COMPLETION) == {}


@pytest.mark.parametrize("words", [["predictors", "list"], ["clean", "--dry-run"]], ids=" ".join)
def test_looking_at_files_imports_nothing_that_computes(words: list[str]) -> None:
    assert intruders(DASS.format(words), COMPUTING) == {}


def test_describe_imports_only_what_adds_up_costs() -> None:
    assert intruders(DASS.format(["describe"]), COMPUTING) == {}


# Stages that are alike, imported by one process, and what they may not import. Most record tables: these need pandas,
# which needs pyarrow; and PIL comes with the datasets.
TABLES = frozenset({"prefect", "pandas", "pyarrow", "PIL"})
STAGES = {
    ("names",): COMPUTING | {"numpy"},
    ("splits",): COMPUTING - {"prefect"},
    ("dataset",): COMPUTING - TABLES,
    (
        "teachers",
        "students",
        "meta_train",
        "multi_fidelity",
        "teacher",
        "target_students",
        "distil",
        "register",
        "rank",
    ): (COMPUTING - TABLES - {"torch"}),
    ("search", "evaluate"): COMPUTING - TABLES - {"torch", "matplotlib"},
}


def test_every_stage_is_looked_at() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert sorted(stage for group in STAGES for stage in group) == sorted(stages)


@pytest.mark.parametrize("stages", STAGES, ids=" ".join)
def test_stages_import_what_they_need(stages: tuple[str, ...]) -> None:
    assert intruders(f"import {', '.join(map(full_name, stages))}", STAGES[stages]) == {}


def test_what_starts_a_stage_imports_little() -> None:
    assert intruders("import flows.run", COMPUTING | {"numpy"}) == {}


def test_a_worker_process_imports_what_trains() -> None:
    assert intruders("import dass.training.workers, dass.students.build", COMPUTING - {"torch"}) == {}


def test_an_intruder_is_named_with_the_way_to_it() -> None:
    assert intruders("import dass.datasets.listing", frozenset({"numpy", "torch"})) == {
        "numpy": "dass.datasets.listing -> numpy"
    }
