"""What the forms of Prefect's page offer."""

from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml
from prefect import Flow

from flows.deployments.project import pipeline

ROOT = Path(__file__).parents[4]
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


def test_the_pipelines_form_offers_every_preset() -> None:
    offered = get_args(get_type_hints(pipeline.fn)["preset"])
    assert set(offered) == {"params.yaml", *(path.stem for path in (ROOT / "presets").glob("*.yaml"))}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_every_deployment_has_its_flow(deployment: dict[str, str]) -> None:
    path, _, name = deployment["entrypoint"].partition(":")
    assert (ROOT / path).exists()
    assert isinstance(getattr(import_module(path.removesuffix(".py").replace("/", ".")), name), Flow)
