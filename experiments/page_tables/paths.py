"""Where pages and studies lie."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "docs" / "study"
