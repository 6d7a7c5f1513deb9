"""Jobs in worker processes, each with its own fixed number of torch threads.

Small networks leave a second thread idle but not a second process, so many short trainings are fastest side by
side. A worker is a fresh interpreter, or a fork of one that has imported torch where the program has called
`fork_ahead`; both are safe with CUDA. It runs one job at a time; one that dies loses that job only, and one whose
parent dies ends too.
"""

import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import torch

import dass
from dass.errors import DassError
from dass.training import forking
from dass.training.forking import MALLOC

PARENT_CHECK_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """How one job ended.

    Attributes:
        index: index in the sequence of jobs.
        value: result of the job; None if its worker died.
        died: empty, or how its worker ended.
    """

    index: int
    value: Any
    died: str = ""


class Pool(Protocol):
    """Where jobs can be run: worker processes here, or machines of a cluster."""

    def run(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Iterator[Outcome]:
        """Runs `function(*arguments[i])` for every i and yields outcomes as jobs finish, see `Workers.run`."""
        ...


def usual_count(device: torch.device) -> int:
    """How many worker processes to use where nobody says: one per core, or one on a GPU, which a process keeps busy."""
    return 1 if device.type == "cuda" else os.cpu_count() or 1


class Workers:
    """A fixed number of worker processes, started once for many jobs; a context manager.

    Args:
        count: processes; 0 to run jobs in this one, in order, with the threads that it has.
        threads: torch threads of each; fixed, because the order of sums, and so the last bits of results,
            depend on it.
    """

    def __init__(self, count: int, threads: int = 1) -> None:
        self._count = count
        self._threads = threads
        self._idle: list[_Process] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._idle:
            self._idle.pop().stop()

    def run(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Iterator[Outcome]:
        """Runs `function(*arguments[i])` for every i and yields outcomes as jobs finish.

        Jobs start in the order given. A job whose worker dies is not tried again; the others go on.

        Args:
            function: importable by its module's and its own name.
            arguments: arguments of each job; they and the results are pickled.

        Raises:
            DassError: a job raised one; jobs still running are given up.
            RuntimeError: a job raised anything else; the message is its traceback.
        """
        if self._count == 0:
            yield from (Outcome(index, function(*values)) for index, values in enumerate(arguments))
            return
        waiting = list(enumerate(arguments))[::-1]
        running: dict[Connection, tuple[int, _Process]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._count:
                    index, values = waiting.pop()
                    process = self._idle.pop() if self._idle else _Process(self._threads)
                    running[process.connection] = (index, process)
                    process.send(function, values)
                for connection in wait(list(running)):
                    assert isinstance(connection, Connection)
                    index, process = running[connection]
                    try:
                        outcome = Outcome(index, process.receive())
                    except EOFError:
                        outcome = Outcome(index, None, process.wait_for_end())
                    else:
                        self._idle.append(process)
                    del running[connection]
                    yield outcome
        finally:
            for _, process in running.values():
                process.stop()


class _Process:
    """The parent's end of one worker."""

    def __init__(self, threads: int) -> None:
        self.connection, theirs = Pipe()
        root = str(Path(dass.__file__).parent.parent)
        path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
        self._process = _fork(theirs.fileno(), threads) or subprocess.Popen(
            [sys.executable, "-m", "dass.training.workers", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={
                "GLIBC_TUNABLES": MALLOC,
                **os.environ,
                "PYTHONPATH": path,
                "OMP_NUM_THREADS": str(threads),
                "MKL_NUM_THREADS": str(threads),
            },
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the parent, which stops its workers
        )
        theirs.close()

    def send(self, function: Callable[..., Any], values: tuple[Any, ...]) -> None:
        # A worker that is dead already shows when its answer is awaited.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(pickle.dumps((function, values)))

    def receive(self) -> Any:
        """The job's result; raises what it raised, EOFError if the worker died."""
        try:
            succeeded, value = pickle.loads(self.connection.recv_bytes())
        except ConnectionResetError as error:
            raise EOFError from error
        if succeeded:
            return value
        raise value if isinstance(value, DassError) else RuntimeError(f"a worker's job failed:\n{value}")

    def wait_for_end(self) -> str:
        """How a worker that hung up ended."""
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            code = 0
        self.stop()
        return f"killed by signal {-code}" if code < 0 else f"exited with code {code}"

    def stop(self) -> None:
        """Ends the worker, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self.connection.close()


def _serve(connection: Connection) -> None:
    """Runs jobs until the parent hangs up."""
    while True:
        try:
            function, values = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        answer: tuple[bool, Any]
        try:
            answer = (True, function(*values))
        except DassError as error:
            answer = (False, error)
        except Exception:
            answer = (False, traceback.format_exc())
        connection.send_bytes(pickle.dumps(answer))


def _end_with_parent(parent: int) -> None:
    """Ends this process when its parent is gone, in the middle of a job too."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)


class _Ahead:
    """What `fork_ahead` has made: one for a program, as there is one moment for it."""

    forker: forking.Forker | None = None


def fork_ahead() -> None:
    """Makes workers of this process forks; to be called while it has a single thread and has computed nothing."""
    _Ahead.forker = forking.start(_work)


def _fork(file: int, threads: int) -> forking.Forked | None:
    """A worker as a fork, where this process can have one."""
    if _Ahead.forker is None or not _Ahead.forker.is_mine:
        return None
    try:
        return _Ahead.forker.fork(file, threads)
    except OSError:  # the process that forks was killed, by a system short of memory for one
        return None


def _work(file: int, parent: int) -> None:
    """A worker's whole life.

    Args:
        file: number of its end of the pipe.
        parent: number of the process to end with.
    """
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    _serve(Connection(file))


def main() -> None:
    """A fresh interpreter's life as a worker; its argument is the number of its end of the pipe."""
    _work(int(sys.argv[1]), os.getppid())


if __name__ == "__main__":
    main()
