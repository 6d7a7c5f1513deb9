"""A registered student where this project is not: nothing but its own files and the packages that it names."""

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import mlflow
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from dass.tracking.store import Store

# An editable install is found by sys.path or by a finder of its own: both are taken away, and so is every package that
# an installation of the version's requirements would not bring.
ALONE = """
import json, sys
root, model, sent, absent = sys.argv[1:]
absent = set(json.loads(absent))

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.path[:] = [path for path in sys.path if path.startswith(sys.prefix) or not path.startswith(root)]
sys.meta_path[:] = [Absent(), *(finder for finder in sys.meta_path if "editable" not in repr(finder))]
try:
    import dass
except ModuleNotFoundError:
    pass
else:
    sys.exit("the project is there: " + dass.__file__)
import mlflow.pyfunc
answer = mlflow.pyfunc.load_model(model).predict([sent])
modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "dass"]
files = [module.__file__ for module in modules if module.__file__]
print(json.dumps({"answer": answer.to_dict("records"), "files": files}))
"""
ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(store: Store, register: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A version's files, alone in a folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    return Path(mlflow.artifacts.download_artifacts(register(2).uri, dst_path=str(tmp_path / "alone")))


def test_it_loads_without_pickle_and_without_this_project(folder: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)).save(buffer, "JPEG")
    named = {Requirement(line).name for line in (folder / "requirements.txt").read_text().split()}
    absent = sorted(absent_without(named))
    assert {"prefect", "dvc", "typer"} <= set(absent)
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    environment |= {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    ran = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(ROOT), str(folder), base64.b64encode(buffer.getvalue()).decode(),
         json.dumps(absent)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    [row] = found["answer"]
    assert row["class"] == "cat"
    assert found["files"] and all(file.startswith(str(folder)) for file in found["files"])


def absent_without(names: set[str]) -> set[str]:
    """The packages installed here that an installation of some distributions would not bring."""
    brought = everything(names)
    return (
        {
            package
            for package, owners in packages_distributions().items()
            if not {canonicalize_name(owner) for owner in owners} & brought
        }
        - sys.stdlib_module_names
        - {"dass"}
    )


def everything(names: set[str]) -> set[str]:
    """The distributions that an installation of some brings."""
    found: set[str] = set()
    waiting = {canonicalize_name(name) for name in names}
    while waiting:
        name = waiting.pop()
        found.add(name)
        for line in distribution(name).requires or []:
            required = Requirement(line)
            if required.marker is None or required.marker.evaluate({"extra": ""}):
                waiting |= {canonicalize_name(required.name)} - found
    return found


def test_none_of_its_files_is_pickled(folder: Path) -> None:
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()} - {".py"}
    assert not kinds & {".pkl", ".pickle", ".pt", ".pth", ".joblib"}
