"""CPU seconds of a command with all that it starts: `python -m benchmarks.cpu_seconds [--json FILE] -- COMMAND...`.

`time` counts processes that were waited for, and so leaves out those that outlive their parent: servers, and the warm
process whose forks are the stages of `dvc repro`. Here such processes become children of this one (Linux only), which
waits for those that end, and asks the system about those that go on after the command.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer

SET_CHILD_SUBREAPER = 36  # of <linux/prctl.h>


def main(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
) -> None:
    """Runs a command, then says what it took, and ends with its exit code."""
    began = time.monotonic()
    code = run(command)
    wall = time.monotonic() - began
    ended, going_on = seconds_of_ended(), seconds_of_living()
    figures = {
        "command": command,
        "exit_code": code,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(ended + going_on, 1),
        "of_these_by_processes_that_go_on": round(going_on, 1),
    }
    print(json.dumps(figures), file=sys.stderr)
    if file:
        file.write_text(json.dumps(figures, indent=1) + "\n")
    raise SystemExit(code)


def run(command: list[str]) -> int:
    """Runs a command and waits for it, and for every process that was left to this one and ended before it.

    Args:
        command: the program and its arguments.

    Returns:
        Its exit code; 128 and the number of the signal that ended it.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "processes that outlive their parent cannot be counted")
    child = os.posix_spawnp(command[0], command, os.environ, setsigdef=[signal.SIGINT])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the command, too
    while True:
        process, status = os.wait()
        if process == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def seconds_of_ended() -> float:
    """CPU seconds of all processes below this one that ended and were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds_of_living() -> float:
    """CPU seconds of the processes below this one that have not ended, and of those that they waited for."""
    seconds = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            seconds += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:  # it ended since
            continue
    return seconds


if __name__ == "__main__":
    typer.run(main)
