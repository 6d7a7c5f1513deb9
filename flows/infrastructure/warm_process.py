"""The process that `flows.infrastructure.warm` starts: it imports what stages need, then forks for each stage.

It has one thread, so that a fork finds no lock taken; those of a BLAS library do not count, which makes them anew in a
fork. Between it and a stage stands a watcher, which tells the asker how the stage ended even where all others are gone.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from dass.project import keep_state_in, let_threads_sleep
from flows.infrastructure.processes import end_with_parent
from flows.infrastructure.warm import ENDED, LENGTH, MESSAGE, STARTED, is_mine

IMPORTS = (
    "prefect", "mlflow.store.tracking.sqlalchemy_store", "scipy.stats", "matplotlib.figure", "dass.baselines.evaluated",
    "flows.stages.student_database",
)  # fmt: skip
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_SECONDS = 2.0
REQUEST_SECONDS = 10.0


@dataclass(frozen=True)
class Stage:
    """A stage that was asked for.

    Attributes:
        words: name of the stage's module, then the arguments of its command line.
        environment: all environment variables of the stage, by name.
        asker: process id of the process that asks, with which the stage ends.
        files: file descriptors that become standard input, output and error.
    """

    words: list[str]
    environment: dict[str, str]
    asker: int
    files: list[int]

    @classmethod
    def read(cls, connection: socket.socket) -> "Stage":
        """Takes a request.

        Raises:
            OSError: it does not come whole, or from another user.
        """
        if not is_mine(connection):
            raise PermissionError
        length, files, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
        size = LENGTH.unpack(length)[0] if len(length) == LENGTH.size else 0
        text = connection.recv(size, socket.MSG_WAITALL)
        if len(files) < 3 or len(text) < size:
            raise ConnectionError
        return cls(**json.loads(text), files=files)

    def take_over(self) -> None:
        """Makes this process the stage's."""
        for number, file in enumerate(self.files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(self.environment)


def main() -> None:
    """Serves on the socket that was handed over; arguments are its number, its path, and the number of `dvc repro`."""
    if os.fork():
        os._exit(0)  # whoever started this one may go on
    number, address, dvc = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    handlers = {stop: signal.getsignal(stop) for stop in STOPS}
    for stop in STOPS:  # they are meant for the stage; this process ends with `dvc repro`
        signal.signal(stop, signal.SIG_IGN)
    try:
        _import_ahead()
        with socket.socket(fileno=number) as listener:
            stage = _next_stage(listener, address, os.pidfd_open(dvc))
    except Exception:  # an asker hears that this one is gone, and carries the stage out itself
        os._exit(1)
    for stop, handler in handlers.items():  # what `nohup` has ignored stays so
        signal.signal(stop, handler)
    stage.take_over()
    from dass.training.workers import fork_ahead
    from flows.run import carry_out

    fork_ahead()  # before there is a second thread
    end_with_parent(stage.asker)

    _end_after(partial(carry_out, stage.words[0], stage.words[1:]))


def _end_after(work: Callable[[], None]) -> NoReturn:
    """Ends as a program does, but leaves its objects alone: to free each copies all memory that a fork shares.

    That takes a good half second. Python's own `multiprocessing` ends its forks in the same way.
    """
    code = 1
    try:
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, Prefect's last logs among them
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _import_ahead() -> None:
    """Imports, while the standard files are still a stage's, from which libraries see whether they may use colours."""
    keep_state_in(Path.cwd())
    let_threads_sleep()
    for name in IMPORTS:
        importlib.import_module(name)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    os.close(nothing)
    gc.collect()
    gc.freeze()  # what no collection touches stays shared with the forks
    warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)  # of `os.fork`; see the module's head


def _next_stage(listener: socket.socket, address: Path, dvc: int) -> Stage:
    """Forks a watcher and a stage for each request; returns in the stage."""
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    waiting.register(dvc, select.POLLIN)
    while True:
        ready = [file for file, _ in waiting.poll(1000 * LOOK_SECONDS)]
        if dvc in ready or not address.exists():  # a process of newer code takes the socket of an older one away
            address.unlink(missing_ok=True)
            os._exit(0)
        if listener.fileno() not in ready:
            continue
        connection, _ = listener.accept()
        connection.settimeout(REQUEST_SECONDS)  # one that says nothing must not keep this process
        with connection, suppress(OSError, ValueError, TypeError):
            stage = Stage.read(connection)
            if watcher := os.fork():
                for file in stage.files:
                    os.close(file)
                os.waitpid(watcher, 0)
            else:
                listener.close()
                os.close(dvc)
                _watch_or_be(connection, stage.files)
                return stage


def _watch_or_be(connection: socket.socket, files: list[int]) -> None:
    """Forks once more: returns in the stage, once its asker has heard of it; the watcher stays here to its end."""
    if stage := os.fork():
        for file in files:
            os.close(file)
        _, status = os.waitpid(stage, 0)
        code = os.waitstatus_to_exitcode(status)
        with suppress(OSError):
            connection.sendall(MESSAGE.pack(ENDED, code if code >= 0 else 128 - code))
        os._exit(0)
    connection.sendall(MESSAGE.pack(STARTED, os.getpid()))
    if not connection.recv(1):
        os._exit(1)
    connection.close()


if __name__ == "__main__":
    main()
