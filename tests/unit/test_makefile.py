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


def test_builds_for_cpus_take_the_place_of_cuda(project: Path) -> None:
    (project / ".venv" / ".installed").unlink()
    usual, said = would(project, "setup"), would(project, "setup", "CPU_TORCH=https://example.org/cpu")
    assert "example.org" not in usual and "-r requirements.lock" in usual
    [torch] = [line for line in said.splitlines() if "--index-url 'https://example.org/cpu'" in line]
    [awk] = [line for line in said.splitlines() if line.startswith("awk")]
    words = subprocess.run(
        ["bash", "-c", f"echo {torch.partition('cpu')[2].partition(' ')[2]}; {awk}; cat .venv/cpu.lock"],
        cwd=project, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    wanted = {line.split()[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if line[:1].isalpha()}
    kept = {line.split()[0] for line in words[1:] if line[:1].isalpha()}
    assert wanted - kept >= set(words[0].split())
    assert {name.partition("==")[0] for name in words[0].split()} == {"torch", "torchvision"}
    assert {name.partition("==")[0].partition("-")[0] for name in wanted - kept} == {
        "torch", "torchvision", "triton", "nvidia", "cuda"
    }  # fmt: skip
    hashes = (ROOT / "requirements.lock").read_text()
    assert all(line in hashes for line in words[1:])
