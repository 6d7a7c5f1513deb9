"""The start of worker processes, in CPU seconds: fresh interpreters against forks of one that has imported torch."""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.report import BenchmarkRow

STARTED = 6
PROGRAM = """
import os, sys
from dass.training.workers import Workers, fork_ahead
if sys.argv[1] == "forks":
    fork_ahead()
count = int(sys.argv[2])
with Workers(count) as workers:
    list(workers.run(os.getpid, [()] * count))
"""


def run(quick: bool) -> list[BenchmarkRow]:
    """Measures a program that starts some workers, less the same program without any.

    Args:
        quick: fewer workers and rounds.
    """
    count, rounds = (2, 1) if quick else (STARTED, 3)
    _cpu_seconds("fresh", 1)  # reads files from disk that the others find in memory
    alone, fresh, forks = [], [], []
    for _ in range(rounds):
        alone.append(_cpu_seconds("fresh", 0))
        fresh.append(_cpu_seconds("fresh", count))
        forks.append(_cpu_seconds("forks", count))
    theirs, ours = ((median(all_of) - median(alone)) / count for all_of in (fresh, forks))
    row = BenchmarkRow(
        name="CPU time of the start of a worker process", naive_seconds=theirs, ours_seconds=ours,
        ratio=theirs / ours if ours > 0 else math.inf, floor_fraction=math.nan, peak_mib=math.nan, rounds=rounds,
    )  # fmt: skip
    return [row]


def _cpu_seconds(kind: str, count: int) -> float:
    """Of the program, with all that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "took.json"
        command = [sys.executable, "-m", "benchmarks.cpu_seconds", "--json", str(file), "--"]
        subprocess.run([*command, sys.executable, "-c", PROGRAM, kind, str(count)], check=True, capture_output=True)
        return float(json.loads(file.read_text())["cpu_seconds"])
