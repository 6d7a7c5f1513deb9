"""What a deployment's run was given."""

from pathlib import Path

import pytest

from dass.errors import UsageError
from dass.project import Project
from dass.training.user_teacher import TeacherFile
from flows.deployments.user_task import open_user_task

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("path", ["a\0b", "a" * 300, "b/" * 3000])
def test_what_cannot_be_a_path_is_one_line(tmp_path: Path, path: str) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "presets" / "demo.yaml").read_bytes())
    project = Project.open(tmp_path)
    for dataset, teacher in ((path, "teacher.pt"), ("digits", path)):
        given = TeacherFile(Path(teacher))
        with pytest.raises(UsageError, match="cannot be a path"), open_user_task(project, dataset, given):
            pass
