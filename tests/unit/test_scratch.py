"""Temporary folders of processes that were killed."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dass.scratch import scratch_folder

PROGRAM = """
import os, signal
from dass.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "images.npy").write_bytes(b"x")
    print(folder, flush=True)
    {then}
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_left_goes_with_the_next(temporary):
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(then="os.kill(os.getpid(), signal.SIGKILL)")], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    left = list(temporary.iterdir())
    assert len(left) == 1
    with scratch_folder():
        assert left[0].exists()  # its owner may be about to take its lock
    os.utime(left[0] / ".owner.lock", (0, 0))
    with scratch_folder() as folder:
        assert list(temporary.iterdir()) == [folder]
    assert not list(temporary.iterdir())


def test_what_is_in_use_stays(temporary):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(then="input()")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        used = Path(other.stdout.readline().strip())
        os.utime(used / ".owner.lock", (0, 0))
        with scratch_folder():
            assert (used / "images.npy").exists()
        other.communicate("\n")
    assert other.returncode == 0 and not used.exists()
