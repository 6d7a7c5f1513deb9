"""Where the rows of benchmarks are written, and how CPU seconds are counted."""

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import Benchmark
from benchmarks.report import BenchmarkRow, write_page, write_section

ROW = BenchmarkRow("what is timed", 2.0, 1.0, 2.0, 0.5, 100.0)
OTHER = BenchmarkRow("what else", 3.0, 1.0, 3.0, 0.5, 100.0)


def test_a_section_takes_the_place_of_its_former_self_and_outlives_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\ntext\n")
    write_section([ROW], page, name="families", conditions="here")
    once = page.read_text()
    assert once.startswith("# Page\n\ntext\n") and once.count("what is timed") == 1
    write_section([ROW], page, name="families", conditions="here")
    assert page.read_text() == once
    write_section([OTHER], page, name="serving", conditions="there")
    write_section([OTHER], page, name="families", conditions="here")
    text = page.read_text()
    assert (text.count("what is timed"), text.count("what else")) == (0, 2)
    assert text.startswith("# Page\n\ntext\n")
    write_page([ROW], page, conditions="now")
    text = page.read_text()
    assert (text.count("what is timed"), text.count("what else")) == (1, 2)


@pytest.mark.parametrize("benchmark", Benchmark)
def test_each_benchmark_is_a_module(benchmark: Benchmark) -> None:
    assert callable(import_module(f"benchmarks.{benchmark}").run)


BUSY = "import os, sys, time\nwhile time.process_time() < 1: pass\n"


@pytest.mark.skipif(sys.platform != "linux", reason="processes are handed on by Linux alone")
@pytest.mark.parametrize(
    ("after", "least_going_on"),
    [("", 0), ("os.close(1); time.sleep(300)", 1)],
)
def test_processes_that_outlive_their_parent_are_counted(tmp_path: Path, after: str, least_going_on: float) -> None:
    (tmp_path / "left.py").write_text(BUSY + "print(os.getpid(), flush=True)\n" + after)
    # The shell ends only when it has read the number, so that it is known what had worked by then.
    script = f"coproc ( setsid {sys.executable} left.py & ); read -u ${{COPROC[0]}} pid; echo $pid; exit 3"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cpu_seconds", "--json", "found.json", "--", "bash", "-c", script],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])}, check=False,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found = json.loads((tmp_path / "found.json").read_text())
    assert (done.returncode, found["exit_code"]) == (3, 3)
    assert found["cpu_seconds"] >= 1
    assert found["of_these_by_processes_that_go_on"] >= least_going_on
    if least_going_on:
        os.kill(int(done.stdout), signal.SIGKILL)
