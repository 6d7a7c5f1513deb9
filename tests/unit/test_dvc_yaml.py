"""dvc.yaml lists the code that a stage depends on, no more and no less."""

import re
from pathlib import Path

import pytest
import yaml

from flows.code_deps import code_of, written

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "dvc.yaml").read_text()
STAGES = {name: stage.get("do", stage) for name, stage in yaml.safe_load(TEXT)["stages"].items()}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_the_code_that_its_flow_reaches(stage: str) -> None:
    listed = {path for path in STAGES[stage]["deps"] if re.match("(dass|flows)/", path)}
    assert listed == set(code_of(stage)), "run `python -m flows.code_deps`"
    assert all((ROOT / path).exists() for path in listed)


def test_writing_it_again_changes_nothing() -> None:
    assert written(TEXT) == TEXT


def test_the_data_of_a_stage_stay_when_its_code_is_written() -> None:
    text = 'stages:\n  splits:\n    deps: [\n      data/names, "data/${key}",\n      dass/gone.py,\n    ]\n'
    deps = yaml.safe_load(written(text))["stages"]["splits"]["deps"]
    assert deps[:2] == ["data/names", "data/${key}"]
    assert "flows/stages/splits.py" in deps and "dass/gone.py" not in deps


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A stage that imports a helper, which imports `late` within a function; `types` is for the type checker."""
    files = {
        "flows/stages/probe.py": "from flows.helper import work\nfrom flows.infrastructure.stage import run_stage\n",
        "flows/helper.py": "def work():\n    from dass.rooms import late\n    import dass.whole.one, dass.whole.two\n",
        "flows/infrastructure/stage.py": "import dass.rooms.other\n",
        "dass/rooms/late.py": "import sys\nif TYPE_CHECKING:\n    from dass.rooms.types import T\n",
        "dass/rooms/types.py": "T = int\n",
        "dass/rooms/other.py": "",
        "dass/rooms/__init__.py": '"""Rooms."""\n',
        "dass/whole/one.py": "ONE = 1\n",
        "dass/whole/two.py": "TWO = 2\n",
        "dass/whole/__init__.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_are_followed_through_helpers_and_functions(project: Path) -> None:
    assert code_of("probe", project) == ["dass/rooms/late.py", "dass/whole", "flows/helper.py", "flows/stages/probe.py"]


def test_a_module_that_is_chosen_when_the_program_runs_may_be_any_of_its_package(project: Path) -> None:
    (project / "flows" / "helper.py").write_text("def work(name):\n    import_module(f'dass.whole.{name}')\n")
    assert code_of("probe", project) == ["dass/whole", "flows/helper.py", "flows/stages/probe.py"]


def test_what_no_stage_imports_makes_none_stale() -> None:
    """Only a search estimates latencies, and only registering measures them."""
    using = {stage for stage in STAGES if {"dass/search", "dass/search/latency.py"} & set(code_of(stage))}
    assert using == {"search", "register"}
    assert not any(path.startswith("dass/cli") for stage in STAGES for path in code_of(stage))
