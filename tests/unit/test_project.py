"""Where everything of a project lies, held against dvc.yaml."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dass.errors import UsageError
from dass.project import Project, let_threads_sleep

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copy(ROOT / "presets" / "demo.yaml", tmp_path / "params.yaml")
    return Project.open(tmp_path)


def outs() -> Iterator[str]:
    """What the stages of dvc.yaml make, for the demo's dataset and target `digits`."""
    for stage in STAGES.values():
        for out in stage.get("do", stage)["outs"]:
            path = out if isinstance(out, str) else next(iter(out))
            for name, value in (
                ("item.name", "digits"), ("item.dataset", "digits"), ("key", "digits"), ("data.resolution", "16"),
            ):  # fmt: skip
                path = path.replace(f"${{{name}}}", value)
            yield path


def test_its_folders_are_the_pipelines(project: Project) -> None:
    folders = [
        project.names_note,
        project.packed("digits"),
        project.splits,
        project.source_teachers,
        project.source_students,
        project.predictor,
        project.multi_fidelity,
        project.target_teacher("digits"),
        project.target_students("digits"),
        project.search("digits"),
        project.distilled("digits"),
        project.scores,
        project.picks,
    ]
    folders.append(project.resolutions_note)
    made = {folder.relative_to(project.root).as_posix() for folder in folders}
    assert made == {path for path in outs() if path.startswith("data/")}
    assert {Path(path).parts[0] for path in set(outs()) - made} == {project.reports.name}
    assert (ROOT / project.checkpoints.relative_to(project.root)).is_dir()


def test_it_is_found_in_the_current_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    assert Project.open() == project
    assert project.root.is_absolute()


def test_a_folder_without_params_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"params\.yaml: No such file"):
        Project.open(tmp_path)


def test_a_target_by_name(project: Project) -> None:
    assert project.target("digits") == project.params.targets["digits"]
    with pytest.raises(UsageError, match=r"'dogs': .*digits"):
        project.target("dogs")


def test_threads_that_wait_for_work_sleep_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, expected in ((None, "10000"), ("OMP_WAIT_POLICY", None), ("GOMP_SPINCOUNT", "7")):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
        if name:
            monkeypatch.setenv(name, "7")
        let_threads_sleep()
        assert os.environ.get("GOMP_SPINCOUNT") == expected
