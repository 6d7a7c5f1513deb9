"""Whether `dass shrink` finds a server to show its steps."""

import json
import os
from pathlib import Path

import pytest

from dass.cli.on_server import server_is_there


@pytest.mark.parametrize(
    ("note", "there"),
    [
        (None, False), ("", False), ("{}", False), ("[]", False),
        ({"users": [], "process": {"pid": os.getpid()}}, False),  # it ends by itself soon
        ({"users": [{}], "process": {"pid": 2**22 + 1}}, False),  # it was killed
        ({"users": [{}], "process": {"pid": os.getpid()}}, True),
    ],
)  # fmt: skip
def test_a_server_is_there_while_it_lives_and_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: object, there: bool
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / ".prefect").mkdir()
    if note is not None:
        (tmp_path / ".prefect" / "server.json").write_text(note if isinstance(note, str) else json.dumps(note))
    assert server_is_there(tmp_path) is there
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert server_is_there(tmp_path)
