"""Hands a command over to the flow of the same name, where a Prefect server is there to show its steps."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from dass.shrink.whole import Options

MODULE = "flows.run"  # run by name: nothing in this package knows Prefect


def server_is_there(root: Path) -> bool:
    """Whether PREFECT_API_URL names a server, or the project's own is running.

    Args:
        root: folder of the project.
    """
    if find_spec(MODULE.partition(".")[0]) is None:
        return False
    if os.environ.get("PREFECT_API_URL"):
        return True
    with suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads((root / ".prefect" / "server.json").read_text(encoding="utf-8"))
        return bool(note["users"]) and psutil.pid_exists(note["process"]["pid"])
    return False


def shrink_on_server(options: "Options", root: Path, device: str) -> int:
    """Runs `dass shrink` as a flow; what it prints is the same.

    Args:
        options: options that the user gave.
        root: the project, where the flow runs.
        device: device as the user gave it: `auto`, `cpu` or `cuda`.

    Returns:
        Its exit code.
    """

    def absolute(path: str) -> str:
        return str(Path(path).resolve())

    teacher = options.teacher
    there = replace(
        options,
        data=absolute(options.data) if os.path.lexists(options.data) else options.data,
        teacher=replace(teacher, path=absolute(teacher.path), classes=teacher.classes and absolute(teacher.classes)),
    )
    done = subprocess.run(
        [sys.executable, "-m", MODULE, "shrink", json.dumps(asdict(there))],
        cwd=root,
        env={**os.environ, "DASS_DEVICE": device},
        check=False,
    )
    return done.returncode
