"""Which interpreter carries out a stage that a shell started with another one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a stage; `-S` keeps the interpreter that is asked first from finding any package."""
    (tmp_path / "flows").mkdir()
    shutil.copy(ROOT / "flows" / "__init__.py", tmp_path / "flows")
    (tmp_path / "flows" / "names.py").write_text("print('stage')")
    return tmp_path


def run(project: Path, *options: str, packages: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-m", "flows.names"], cwd=project, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(packages or "")},
    )  # fmt: skip


def test_an_interpreter_without_packages_gives_way_to_the_projects_own(project: Path) -> None:
    own = project / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text('#!/bin/sh\necho own "$@"\n')
    own.chmod(0o755)
    assert run(project, "-S").stdout == "own -S -m flows.names\n"
    assert run(project).stdout == "stage\n"
    some = project / "some"  # of a machine whose own python has pydantic and mlflow, not the rest
    for name in ("pydantic", "mlflow"):
        (some / name).mkdir(parents=True)
        (some / name / "__init__.py").touch()
    assert run(project, "-S", packages=some).stdout == "own -S -m flows.names\n"


def test_without_one_the_reason_is_one_line(project: Path) -> None:
    done = run(project, "-S")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "make setup" in done.stderr
