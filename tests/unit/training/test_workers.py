import json
import math
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dass.errors import DassError
from dass.files import read_json
from dass.training.workers import Workers


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Two fresh interpreters for all tests, since each takes seconds to start; those that a test kills are replaced."""
    with Workers(2) as made:
        yield made


def test_every_job_runs_once_and_workers_are_kept(workers: Workers) -> None:
    first = list(workers.run(operator.add, [(i, 10) for i in range(5)]))
    second = list(workers.run(os.getpid, [()] * 4))
    third = list(workers.run(os.getpid, [()] * 4))
    assert sorted((outcome.index, outcome.value) for outcome in first) == [(i, i + 10) for i in range(5)]
    assert len({outcome.value for outcome in second + third}) <= 2
    assert all(outcome.died == "" for outcome in first + second)


def test_threads_are_fixed(workers: Workers) -> None:
    assert [outcome.value for outcome in workers.run(torch.get_num_threads, [()])] == [1]


def test_a_dead_worker_loses_its_job_only(workers: Workers) -> None:
    jobs = [("6 * 7",), ("__import__('os')._exit(3)",), ("7 * 7",), ("8 * 8",)]
    outcomes = {outcome.index: (outcome.value, outcome.died) for outcome in workers.run(eval, jobs)}
    assert outcomes == {0: (42, ""), 1: (None, "exited with code 3"), 2: (49, ""), 3: (64, "")}
    [killed] = workers.run(eval, [("__import__('os').kill(__import__('os').getpid(), 9)",)])
    assert killed.died == "killed by signal 9"


def test_a_job_s_error_reaches_the_caller_and_ends_the_rest(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(DassError, match=r"cannot read .*absent"):
        list(workers.run(read_json, [(tmp_path / "absent",)]))
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="math domain error"):
        list(workers.run(eval, [("__import__('time').sleep(60)",), ("__import__('math').sqrt(-1)",)]))
    assert time.monotonic() - began < 30
    [outcome] = workers.run(math.sqrt, [(4,)])
    assert outcome.value == 2


FORKED = """
import json, os, signal, sys, torch
from dass.training.workers import Workers, fork_ahead

fork_ahead()
BITS = (
    "(torch := __import__('torch')).nn.functional.conv2d(torch.linspace(-1, 1, 9216).view(4, 4, 24, 24),"
    " torch.linspace(-1, 1, 288).view(8, 4, 3, 3)).flatten(1).mm(torch.linspace(-1, 1, 11616).view(3872, 3)).tolist()"
)
with Workers(2) as workers:
    found = {
        "own": os.getpid(),
        "parents": [one.value for one in workers.run(os.getppid, [()] * 4)],
        "workers": [one.value for one in workers.run(os.getpid, [()] * 4)],
        "threads": [one.value for one in workers.run(torch.get_num_threads, [()])],
        "died": [one.died for one in workers.run(eval, [("__import__('os')._exit(3)",)])],
        "killed": [one.died for one in workers.run(eval, [("__import__('os').kill(__import__('os').getpid(), 9)",)])],
        "bits": [one.value for one in workers.run(eval, [(BITS,)])],
    }
    torch.set_num_threads(1)
    found["own_bits"] = eval(BITS)
os.kill(found["parents"][0], signal.SIGKILL)
with Workers(1) as workers:
    found["afterwards"] = [one.value for one in workers.run(os.getppid, [()])]
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no forks elsewhere")
def test_forks_do_as_fresh_interpreters_which_take_their_place_where_no_forks_can_be_had() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, cwd=Path.cwd())
    found = json.loads(done.stdout)
    assert len(set(found["parents"])) == 1 and found["parents"][0] != found["own"]
    assert len(set(found["workers"])) <= 2
    assert (found["died"], found["killed"]) == (["exited with code 3"], ["killed by signal 9"])
    assert found["threads"] == [1]
    assert found["bits"] == [found["own_bits"]]
    assert found["afterwards"] == [found["own"]]


@pytest.mark.parametrize("ahead", ["", "fork_ahead()\n"])
def test_workers_end_with_their_parent(ahead: str) -> None:
    script = (
        f"import os, time; from dass.training.workers import Workers, fork_ahead\n{ahead}"
        "with Workers(1) as workers:\n"
        "    [outcome] = workers.run(os.getpid, [()])\n"
        "    print(outcome.value, flush=True)\n"
        "    list(workers.run(time.sleep, [(60,)]))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not alive(worker):
            break
        time.sleep(0.1)
    assert not alive(worker)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")
    except OSError:
        return False
