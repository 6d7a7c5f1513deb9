"""Names in params.yaml that are none: no shell reads them, and none becomes a path."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.sandbox import HERE, Sandbox, new_project

HOSTILE = [
    "x; touch pwned; true", "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "',
    "x\ntouch pwned", "${IFS}touch${IFS}pwned", "../../docs", "/tmp/elsewhere", "-x", "a b", "",
]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = new_project(tmp_path_factory.mktemp("names") / "project", PREFECT_API_URL="http://127.0.0.1:9/api")
    (made.root / "docs").mkdir()
    (made.root / "docs" / "precious").write_text("kept")
    for part in ("data/raw/digits-16", "data/raw/glyphs-16"):  # so that `teacher` alone comes to its command
        (made.root / part).mkdir(parents=True)
    yield made


def test_no_command_holds_what_params_yaml_says() -> None:
    stages = yaml.safe_load((HERE / "dvc.yaml").read_text())["stages"]
    commands = [(stage.get("do") or stage)["cmd"] for stage in stages.values()]
    assert len(commands) > 10
    assert all(re.fullmatch(r"python -m flows\.[a-z]+( [a-z_]+)?", command) for command in commands), commands


def files(root: Path) -> set[Path]:
    hidden = (".dvc", ".git", ".prefect", "__pycache__")
    found = (path.relative_to(root) for path in root.rglob("*"))
    return {path for path in found if not any(part in hidden for part in path.parts)}


@pytest.mark.service
@pytest.mark.parametrize("place", ["dataset", "target", "target's dataset"])
def test_a_name_is_refused_before_anything_is_made_of_it(project: Sandbox, place: str) -> None:
    values = project.params()
    for name in HOSTILE if place == "target" else HOSTILE[:2]:
        changed = values | {"datasets": list(values["datasets"]), "targets": dict(values["targets"])}
        if place == "dataset":
            changed["datasets"].append(name)
        elif place == "target":
            changed["targets"] = {name: {"dataset": "digits"}}
        else:
            changed["targets"]["x"] = {"dataset": name}
        project.set_params(changed)
        (project.root / "data" / "names").write_text("left by names that held")
        before = files(project.root) - {Path("data/names")}
        alone = "teacher" if place == "target" else "dataset"
        for command in (("dvc", "repro", "-s", alone), ("dvc", "repro")):
            done = project.run(*command, check=False)
            assert done.returncode != 0, (name, done.stdout)
        assert files(project.root) - {Path("data/names")} == before, name
    project.set_params(values)


def test_a_stage_takes_its_item_from_dvc_and_not_from_its_command() -> None:
    from flows.run import asked

    assert asked(["teacher"], {"DVC_STAGE": "teacher@digits"}) == ("teacher", ["digits"])
    assert asked(["teacher"], {"DVC_STAGE": "../dvc.yaml:teacher@digits"}) == ("teacher", ["digits"])
    assert asked(["teacher"], {"DVC_STAGE": "teacher@a\n$(x)@b"}) == ("teacher", ["a\n$(x)@b"])
    assert asked(["splits"], {"DVC_STAGE": "splits"}) == ("splits", [])
    assert asked(["search", "2", "digits"], {}) == ("search", ["2", "digits"])
