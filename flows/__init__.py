"""The pipeline: one Prefect flow for each stage of dvc.yaml, deployments, and the servers that they use.

DVC runs stages by whatever `python` the shell finds. Where that one lacks this project's packages, as after a plain
`.venv/bin/dvc repro`, the stage goes on with the interpreter that `make setup` installed; nothing else of this package
could be imported to say so.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

_NEEDED = ("mlflow", "prefect", "pydantic", "ruamel", "torch")  # a machine's own python may have some of them

if not all(map(find_spec, _NEEDED)):
    _OWN = Path(__file__).resolve().parents[1] / ".venv"
    if (_OWN / "bin" / "python").exists() and Path(sys.prefix).resolve() != _OWN:
        os.execv(_OWN / "bin" / "python", [str(_OWN / "bin" / "python"), *sys.orig_argv[1:]])
    sys.exit(
        f"error: {sys.executable} lacks this project's packages: run `make setup`, then `source .venv/bin/activate`"
    )
