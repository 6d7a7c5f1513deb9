"""The order in which packages may know each other, as docs/architecture.md states it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = (
    "cli", "api", "planning shrink upkeep", "tracking baselines", "shipped", "search", "multi_fidelity",
    "evaluation proxies", "tasks", "predictor students", "training", "networks", "space datasets", "project presets",
    "params_file", "config old_params", "families", "method_names", "cards", "sealed",
    "device files scratch amounts fidelity", "errors",
)  # fmt: skip
HEIGHT = {name: -index for index, names in enumerate(LAYERS) for name in names.split()}


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, at its top or within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "dass":
            yield from (f"dass.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", sorted((ROOT / "dass").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_package_knows_those_below_it(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts == ("dass", "__init__"):  # the public names, each imported from where it is
        return
    for name in imports(path):
        first, *rest = name.split(".")
        assert first not in ("prefect", "dvc", "flows")
        assert first != "mlflow" or parts[1] == "tracking"
        if first == "dass" and rest and rest[0] != parts[1]:
            assert HEIGHT[rest[0]] < HEIGHT[parts[1]], f"{'.'.join(parts)} imports {name}"
