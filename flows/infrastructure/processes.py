"""Processes that start others: they end what they started, and end with what started them."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from dass.errors import UsageError

STOP_SECONDS = 8
PARENT_CHECK_SECONDS = 0.5


@dataclass(frozen=True)
class Process:
    """A process, told apart from a later one that got its number.

    Attributes:
        pid: process id, which the system may give to a later process too.
        started: seconds from the machine's start to its own, which no change of the clock moves.
    """

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this number now.

        Raises:
            psutil.Error: there is none.
        """
        return cls(pid, psutil.Process(pid).create_time() - psutil.boot_time())

    @property
    def alive(self) -> bool:
        """Whether it is still there and has not ended."""
        try:
            now = Process.of(self.pid)
            return abs(now.started - self.started) < 1 and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def run_group(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs a command; when this process is told to stop, all that the command started is told so too.

    A flow that is stopped tells the server: it gets time for that before the server goes.

    Returns:
        Its exit code; 128 and the number of the signal where one ended it.

    Raises:
        UsageError: there is no such command.
    """
    try:
        process = subprocess.Popen(command, env=environment, start_new_session=True)
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror or error}") from error
    try:
        code = process.wait()
    except BaseException:
        end_family(process.pid)
        process.wait()
        raise
    return code if code >= 0 else 128 - code


def end_family(pid: int) -> None:
    """Ends a process and all that it started: told to, then made to."""
    family = []
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    _, left = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for member in left:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(left, timeout=STOP_SECONDS)


def end_with_parent(parent: int | None = None) -> None:
    """Has this process, with all that it started, end when the process that started it is gone, however that ended.

    Args:
        parent: process id of that process, which may be gone already; None for the present parent.
    """
    try:
        followed = Process.of(parent or os.getppid())
    except psutil.Error:
        followed = None
    threading.Thread(target=_follow, args=(followed,), daemon=True).start()


def behind_shell(command: str) -> int:
    """Number of the process that started this one, past a shell that was only to run the command.

    Args:
        command: text that the shell's command line holds, and that of the process behind it does not.
    """
    parent = psutil.Process().parent()
    while parent is not None and any(command in word for word in parent.cmdline()):
        parent = parent.parent()
    return parent.pid if parent else os.getppid()


def _follow(parent: Process | None) -> None:
    while parent is not None and parent.alive:
        time.sleep(PARENT_CHECK_SECONDS)
    for child in psutil.Process().children():
        end_family(child.pid)
    os.kill(os.getpid(), signal.SIGTERM)  # last: it may end this process at once
    time.sleep(STOP_SECONDS)
    os._exit(1)
