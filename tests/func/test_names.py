"""Names in params.yaml that are none: no shell reads them, and none becomes a path."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sandbox import Sandbox, new_project

HOSTILE = [
    "x; touch pwned; true", "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "',
    "x\ntouch pwned", "${IFS}touch${IFS}pwned", "../../docs", "/tmp/elsewhere", "-x", "a b", "",
]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = new_project(tmp_path_factory.mktemp("names") / "project", PREFECT_API_URL="http://127.0.0.1:9/api")
    (made.root / "docs").mkdir()
    (made.root / "docs" / "precious").write_text("kept")
    yield made


def files(root: Path) -> set[Path]:
    hidden = (".dvc", ".git", ".prefect", "__pycache__")
    found = (path.relative_to(root) for path in root.rglob("*"))
    return {path for path in found if not any(part in hidden for part in path.parts)}


@pytest.mark.parametrize("place", ["dataset", "target", "target's dataset"])
def test_a_name_is_refused_before_anything_is_made_of_it(project: Sandbox, place: str) -> None:
    values = project.params()
    for name in HOSTILE if place == "target" else HOSTILE[:2]:
        changed = values | {"datasets": list(values["datasets"]), "targets": dict(values["targets"])}
        if place == "dataset":
            changed["datasets"].append(name)
        elif place == "target":
            changed["targets"][name] = {"dataset": "digits"}
        else:
            changed["targets"]["x"] = {"dataset": name}
        project.set_params(changed)
        before = files(project.root)
        for command in (("dvc", "repro"), ("dvc", "repro", "-s", "dataset", "teacher", "search")):
            done = project.run(*command, check=False)
            assert done.returncode != 0, (name, done.stdout)
        assert files(project.root) == before, name
    project.set_params(values)


def test_a_stage_takes_its_item_from_dvc_and_not_from_its_command() -> None:
    from flows.run import asked

    assert asked(["teacher"], {"DVC_STAGE": "teacher@digits"}) == ("teacher", ["digits"])
    assert asked(["teacher"], {"DVC_STAGE": "../dvc.yaml:teacher@digits"}) == ("teacher", ["digits"])
    assert asked(["teacher"], {"DVC_STAGE": "teacher@a\n$(x)@b"}) == ("teacher", ["a\n$(x)@b"])
    assert asked(["splits"], {"DVC_STAGE": "splits"}) == ("splits", [])
    assert asked(["lengths", "2", "digits"], {}) == ("lengths", ["2", "digits"])
