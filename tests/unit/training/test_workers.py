import math
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dass.errors import DassError
from dass.files import read_json
from dass.training.workers import Workers


def test_every_job_runs_once_and_workers_are_kept() -> None:
    with Workers(2) as workers:
        first = list(workers.run(operator.add, [(i, 10) for i in range(5)]))
        second = list(workers.run(os.getpid, [()] * 4))
        third = list(workers.run(os.getpid, [()] * 4))
    assert sorted((outcome.index, outcome.value) for outcome in first) == [(i, i + 10) for i in range(5)]
    assert len({outcome.value for outcome in second + third}) <= 2
    assert all(outcome.died == "" for outcome in first + second)


def test_threads_are_fixed() -> None:
    with Workers(1, threads=1) as workers:
        [outcome] = workers.run(torch.get_num_threads, [()])
    assert outcome.value == 1


def test_a_dead_worker_loses_its_job_only() -> None:
    with Workers(1) as workers:
        outcomes = list(workers.run(eval, [("6 * 7",), ("__import__('os')._exit(3)",), ("7 * 7",)]))
        assert [(outcome.value, outcome.died) for outcome in outcomes] == [
            (42, ""),
            (None, "exited with code 3"),
            (49, ""),
        ]
        [killed] = workers.run(eval, [("__import__('os').kill(__import__('os').getpid(), 9)",)])
    assert killed.died == "killed by signal 9"


def test_a_job_s_error_reaches_the_caller_and_ends_the_rest(tmp_path: Path) -> None:
    with Workers(2) as workers:
        with pytest.raises(DassError, match=r"cannot read .*absent"):
            list(workers.run(read_json, [(tmp_path / "absent",)]))
        began = time.monotonic()
        with pytest.raises(RuntimeError, match="math domain error"):
            list(workers.run(eval, [("__import__('time').sleep(60)",), ("__import__('math').sqrt(-1)",)]))
        assert time.monotonic() - began < 30
        [outcome] = workers.run(math.sqrt, [(4,)])
    assert outcome.value == 2


def test_workers_end_with_their_parent() -> None:
    script = (
        "import os, time; from dass.training.workers import Workers\n"
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
