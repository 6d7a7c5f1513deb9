"""What make would do, without doing it."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder where everything is installed."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".installed").write_text(f"{tmp_path}\n")
    (tmp_path / "mlflow.db").touch()
    return tmp_path


def would(project: Path, *words: str) -> str:
    done = subprocess.run(["make", "-n", *words], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [("", True), ("-f", True), ("--force --no-commit", True), ("splits", False), ("-s register@digits", False)],
)
def test_a_report_is_shown_where_the_whole_pipeline_ran(project: Path, arguments: str, reported: bool) -> None:
    said = would(project, "repro", f"ARGS={arguments}")
    assert f"dvc repro {arguments}".rstrip() in said
    assert ("dass report" in said) == reported


def test_an_environment_that_came_with_a_copied_project_is_made_anew(project: Path) -> None:
    assert "pip install" not in would(project, "setup")
    (project / ".venv" / ".installed").write_text("")  # made by an earlier version
    assert "pip install" not in would(project, "setup")
    (project / ".venv" / ".installed").write_text("/the/old/place\n")
    said = would(project, "setup")
    assert said.index("rm -rf .venv") < said.index("pip install")
