"""Fixtures of the end-to-end tests."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.server import prefect_server
from tests.e2e.sandbox import HERE, OUTSIDE, PARTS, Sandbox, tiny_params


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One real Prefect server for all end-to-end tests, as `make repro` starts one for all stages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        with prefect_server(tmp_path_factory.mktemp("prefect")) as api:
            yield api


@pytest.fixture
def sandbox(tmp_path: Path, prefect_api: str) -> Sandbox:
    """A new project, committed once."""
    root = tmp_path / "project"
    root.mkdir()
    for part in PARTS:
        source, place = HERE / part, root / part
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place)
    environment = {key: value for key, value in os.environ.items() if key not in OUTSIDE}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "PREFECT_API_URL": prefect_api,
        "PREFECT_HOME": str(root / ".prefect"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DVC_NO_ANALYTICS": "1",
        "DASS_WORKERS": "2",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    made = Sandbox(root, environment)
    made.set_params(tiny_params())
    made.run("git", "init", "-q")
    made.run("dvc", "init", "-q")
    made.run("git", "add", "-A")
    made.run("git", "commit", "-qm", "start")
    return made
