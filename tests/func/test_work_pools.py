"""The templates of docs/templates on a real server: pools that it takes, deployments that fit them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import yaml

HERE = Path(__file__).parents[2]
TEMPLATES = HERE / "docs" / "templates"


def test_the_templates_make_pools_and_deployments(prefect_api: str, tmp_path: Path) -> None:
    api = prefect_api  # no other test that shares it has deployments
    known = httpx.get(f"{api}/collections/views/aggregate-worker-metadata", timeout=60).raise_for_status().json()
    docker = known["prefect-docker"]["docker"]["default_base_job_configuration"]
    kubernetes = json.loads((TEMPLATES / "kubernetes-job.json").read_text())
    for kind, template in (("docker", docker), ("kubernetes", kubernetes)):
        pool = {"name": f"dass-{kind}", "type": kind, "base_job_template": template}
        assert httpx.post(f"{api}/work_pools/", json=pool, timeout=60).status_code == httpx.codes.CREATED
        given = yaml.safe_load((TEMPLATES / f"{kind}.yaml").read_text())["definitions"]["pool"]
        assert given["name"] == pool["name"]
        assert set(given["job_variables"]) <= set(template["variables"]["properties"])
        _deploy(api, tmp_path, TEMPLATES / f"{kind}.yaml")
        deployments = httpx.post(f"{api}/deployments/filter", json={}, timeout=60).json()
        assert len(deployments) == 5
        for deployment in deployments:
            assert deployment["work_pool_name"] == pool["name"]
            assert deployment["job_variables"] == given["job_variables"]
            step = {"prefect.deployments.steps.set_working_directory": {"directory": "/project"}}
            assert deployment["pull_steps"] == [step]


def _deploy(api: str, folder: Path, template: Path) -> None:
    """Sends prefect.yaml with a template in place of its definitions, as docs/operations.md says."""
    shutil.copytree(HERE / "flows", folder / "flows", dirs_exist_ok=True)
    head, _, rest = (HERE / "prefect.yaml").read_text().partition("definitions:")
    text = head + template.read_text() + "\ndeployments:" + rest.partition("\ndeployments:")[2]
    (folder / "prefect.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PREFECT_API_URL": api, "PREFECT_HOME": str(folder), "PYTHONPATH": str(HERE)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
