"""SIGKILL in the middle of every stage, then `dvc repro`: it ends in what an undisturbed run makes."""

import csv
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from dass.files import file_sha256
from dass.students.database import StudentDatabase
from dass.students.record import PROVENANCE
from tests.e2e.sandbox import Sandbox, new_project

pytestmark = [pytest.mark.service, pytest.mark.timeout(3000)]


def test_a_run_killed_in_every_stage_ends_as_one_that_was_not(tmp_path: Path, prefect_api: str) -> None:
    calm, killed = (new_project(tmp_path / name, PREFECT_API_URL=prefect_api) for name in ("calm", "killed"))
    stages = calm.run("dvc", "stage", "list", "--names-only").stdout.split()
    calm.repro()
    dice = random.Random(0)
    kills = [stage for stage in stages if kill_in(killed, stage, dice.uniform(2, 6))]
    killed.repro()
    assert len(kills) > len(stages) // 2, f"killed only in {kills}"
    assert results(killed.root) == results(calm.root)
    assert killed.repro() == []
    assert versions(killed) == versions(calm) == "1 1"


def kill_in(sandbox: Sandbox, stage: str, seconds: float) -> bool:
    """Runs up to a stage and kills it, with `dvc`, so long after its start; whether it was still at work then."""
    log = sandbox.root / "repro.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["dvc", "repro", stage], cwd=sandbox.root, env={**sandbox.environment, "PYTHONUNBUFFERED": "1"},
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    while process.poll() is None and f"Running stage '{stage}'" not in log.read_text():
        time.sleep(0.1)
    time.sleep(seconds)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    ended = process.wait()
    assert ended in (0, -signal.SIGKILL), log.read_text()[-3000:]
    time.sleep(1)  # workers notice within half a second that their parent is gone
    return ended != 0


def results(root: Path) -> dict[str, Any]:
    """What a run came to, but for when, where and how long: hashes of files, records, tables."""
    files = [*root.glob("data/**/*.safetensors"), *root.glob("data/raw/**/*.npy"), *root.glob("data/splits/*.json")]
    files += [*root.glob("data/search/**/search.json"), *root.glob("data/distilled/**/*.json")]
    found: dict[str, Any] = {str(file.relative_to(root)): file_sha256(file) for file in files}
    for file in root.glob("data/students/**/*.parquet"):
        for record in StudentDatabase(file.parent).read_all(file.stem):
            values = tuple(value for name, value in vars(record).items() if name not in PROVENANCE)
            found[f"{record.task} {record.arch_id} {record.seed} {record.recipe_id}"] = values
    for table in ("correlations.csv", "picks.csv"):
        with (root / "reports" / table).open() as rows:
            found[table] = [row for row in csv.reader(rows) if not any(cell.endswith("_seconds") for cell in row)]
    left = [*root.glob("data/**/*.partial"), *root.glob("data/**/.*.tmp")]
    assert not [path for path in left if not path.name.endswith(".lock.tmp")]  # locks stay, outside of what DVC tracks
    return found


def versions(sandbox: Sandbox) -> str:
    """How many versions the registry has of the student and of the predictor."""
    code = (
        "from pathlib import Path\nfrom dass.tracking.store import open_store\nclient = open_store(Path.cwd()).client\n"
        "names = ('dass-student-digits', 'dass-predictor')\n"
        "print(*(len(client.search_model_versions(f\"name='{name}'\")) for name in names))"
    )
    return sandbox.run("python", "-c", code).stdout.splitlines()[-1]
