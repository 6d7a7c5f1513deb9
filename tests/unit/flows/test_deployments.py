"""What the forms of Prefect's page offer."""

from pathlib import Path
from typing import get_args, get_type_hints

from flows.deployments import pipeline

PRESETS = Path(__file__).parents[3] / "presets"


def test_the_pipelines_form_offers_every_preset() -> None:
    offered = get_args(get_type_hints(pipeline.fn)["preset"])
    assert set(offered) == {"params.yaml", *(path.stem for path in PRESETS.glob("*.yaml"))}
