"""What `dass clean` may remove, and what it never does."""

import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from dass.cli.main import main
from dass.project import Project
from dass.upkeep import DAY, FOLDERS, measure_usage, remove

ROOT = Path(__file__).parents[2]
OLD = (
    ".state/evidence/a.parquet", ".state/evidence/held.parquet", ".state/rankers/maml-0.partial",
    ".state/meta_train/x/state.pt", ".state/downloads/cub.tgz", ".prefect/server.log",
)  # fmt: skip
KEPT = (
    ".prefect/prefect.db", ".prefect/server.json", ".state/dvc/index", "mlartifacts/1/run/model.safetensors",
    "mlflow.db", "data/students/source/split0.parquet", ".dvc/cache/files/md5/00/11", "reports/tables.md",
)  # fmt: skip
YOUNG = (".state/evidence/b.parquet", ".prefect/mlflow.log")


def fill(root: Path) -> None:
    """All kinds of files, of which `YOUNG` alone were used lately."""
    for name in (*OLD, *KEPT, *YOUNG):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
        if name not in YOUNG:
            os.utime(path, (time.time() - 40 * DAY,) * 2)


def left(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_unused_files_that_can_be_made_again_go_unless_a_process_holds_them(tmp_path: Path) -> None:
    fill(tmp_path)
    with FileLock(tmp_path / ".state/evidence/.held.lock"):
        found = measure_usage(tmp_path, days=30)
        assert {str(path.relative_to(tmp_path)) for one in found for path in one.removable} == set(OLD)
        assert left(tmp_path) >= {*OLD, *KEPT, *YOUNG}
        freed = sum(remove(one) for one in found)
    assert freed == 1000 * (len(OLD) - 1)
    assert left(tmp_path) - {".state/evidence/.held.lock"} == {*KEPT, *YOUNG, ".state/evidence/held.parquet"}
    assert not [one for one in measure_usage(tmp_path, days=50) if one.removable]


def test_a_file_that_was_read_lately_is_in_use(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / OLD[0]
    os.utime(path, (time.time(), path.stat().st_mtime))
    assert path not in [one for found in measure_usage(tmp_path, days=30) for one in found.removable]


def test_the_command_says_what_would_go_and_removes_only_when_told(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "presets" / "demo.yaml").read_bytes())
    fill(tmp_path)
    monkeypatch.chdir(tmp_path)
    for words, there in ((["--dry-run"], True), ([], False)):
        try:
            main(["clean", *words])
        except SystemExit as end:
            assert end.code == 0
        assert (tmp_path / OLD[0]).exists() == there
        said = capsys.readouterr().out
        assert all(str(folder.path) in said for folder in FOLDERS)
        assert (str(tmp_path / OLD[0]) in said) == there


def test_a_folder_that_is_no_project_is_left_alone(tmp_path: Path, monkeypatch, capsys) -> None:
    log = tmp_path / ".prefect" / "server.log"
    log.parent.mkdir()
    log.write_text("of Prefect itself")
    os.utime(log, (0, 0))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["clean"])
    assert ended.value.code == 2
    assert "params.yaml" in capsys.readouterr().err
    assert log.exists()


def test_the_places_are_those_that_the_project_writes(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "presets" / "demo.yaml").read_bytes())
    project = Project.open(tmp_path)
    known = {folder.path for folder in FOLDERS}
    for folder in (project.proxies, project.learned, project.meta_trained):
        assert folder.relative_to(project.root) in known
