"""What an entry point may not import, since each of these costs whoever waits for it a good part of a second."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPUTING = frozenset({
    "torch", "torchvision", "mlflow", "prefect", "scipy", "sklearn", "matplotlib", "pyarrow", "pandas", "fastapi",
    "sqlalchemy", "PIL",
})  # fmt: skip
DASS = "from dass.cli.main import main; main({!r})"
COMPLETION = {"_DASS_COMPLETE": "complete_bash", "COMP_WORDS": "dass sea", "COMP_CWORD": "1"}


def intruders(code: str, forbidden: frozenset[str], **environment: str) -> dict[str, str]:
    """The forbidden packages that some code imports, each with the chain of imports that leads to it."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    lines = [line.rpartition("| ")[2] for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert (done.returncode, "dass" in {line.strip() for line in lines}) == (0, True), done.stderr
    found: dict[str, str] = {}
    chain: list[str] = []  # of the module at hand: a module is told of after those that it imports
    for line in reversed(lines):
        name = line.strip()
        del chain[(len(line) - len(line.lstrip())) // 2 :]
        chain.append(name)
        if name in forbidden:
            found[name] = " -> ".join(chain)
    return found


@pytest.mark.parametrize("words", [[], ["search"], ["shrink"], ["data", "import"]], ids=" ".join)
def test_help_imports_nothing_that_computes(words: list[str]) -> None:
    assert intruders(DASS.format([*words, "--help"]), COMPUTING | {"numpy"}) == {}


def test_completion_imports_nothing_that_computes() -> None:
    assert intruders(DASS.format([]), COMPUTING | {"numpy"}, **COMPLETION) == {}


def test_describe_imports_only_what_adds_up_costs() -> None:
    assert intruders(DASS.format(["describe"]), COMPUTING) == {}


def test_an_intruder_is_named_with_the_way_to_it() -> None:
    assert intruders("import dass.datasets.listing", frozenset({"numpy", "torch"})) == {
        "numpy": "dass.datasets.listing -> numpy"
    }
