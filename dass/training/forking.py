"""Worker processes as forks of one that has imported torch already: a fresh interpreter takes seconds for that.

Threads hold locks, and a fork takes these over without the threads that would free them. So a program that wants forks
asks for them first thing, by `dass.training.workers.fork_ahead`, while it has one thread and has computed nothing. The
process that this makes stays so: it waits for requests, forks, and tells how its forks ended. It ends with the program,
and they with it. Python's own fork server (multiprocessing) is a fresh interpreter, which would have to import torch
for every stage.
"""

import os
import select
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

# Freed memory is kept, in large pages, rather than given back and cleared anew by the system at every step: 5 to 10% of
# a training step on Linux with glibc; read by nothing else.
MALLOC = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296"

REQUEST = struct.Struct("!ci")
ANSWER = struct.Struct("!i")
FORK, CODE = b"f", b"c"  # kinds of request: for a fork, with its number of threads; for the exit code of an ended one

Serve = Callable[[int, int], None]
"""What a fork does: takes the number of its end of a pipe, and that of the process that it is to end with."""


class Forker:
    """The program's end of a process that forks.

    Args:
        requests: connection to the process that forks.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._owner = os.getpid()
        self._one_at_a_time = threading.Lock()

    @property
    def is_mine(self) -> bool:
        """Whether this process asked for it, and not one that this one is a fork of."""
        return self._owner == os.getpid()

    def fork(self, file: int, threads: int) -> "Forked":
        """Makes a fork.

        Args:
            file: number of the fork's end of a pipe.
            threads: number of torch threads in the fork, at least 1.

        Raises:
            OSError: the process that forks is gone.
        """
        return Forked(self, self._ask(FORK, threads, [file]))

    def code(self, pid: int) -> int:
        """How a fork that has ended did so: its exit code, or minus the number of a signal; to be asked once."""
        return self._ask(CODE, pid, [])

    def _ask(self, kind: bytes, number: int, files: list[int]) -> int:
        with self._one_at_a_time:
            socket.send_fds(self._requests, [REQUEST.pack(kind, number)], files)
            answer = self._requests.recv(ANSWER.size)
        if not answer:
            raise ConnectionError("the process that forks workers is gone")
        return ANSWER.unpack(answer)[0]


class Forked:
    """A fork; to its user as a `subprocess.Popen`.

    Args:
        forker: process that this one was forked from.
        pid: its number, which no other process gets before its exit code was asked for.
    """

    def __init__(self, forker: Forker, pid: int) -> None:
        self._forker = forker
        self._pid = pid
        self._file = os.pidfd_open(pid)
        self._code: int | None = None

    def kill(self) -> None:
        """Ends it, whatever it is doing."""
        if self._code is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._file, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; gives its exit code, or minus the number of the signal that ended it.

        Raises:
            subprocess.TimeoutExpired: it has not ended after so many seconds.
        """
        if self._code is None:
            waiting = select.poll()
            waiting.register(self._file, select.POLLIN)
            if not waiting.poll(None if timeout is None else 1000 * timeout):
                raise subprocess.TimeoutExpired("a forked worker", timeout or 0)
            try:
                self._code = self._forker.code(self._pid)
            except OSError:  # the process that forks was killed, and this one with it
                self._code = -signal.SIGKILL
            os.close(self._file)
        return self._code


def start(serve: Serve) -> Forker | None:
    """Forks the process that forks; to be called while this one has a single thread and has computed nothing.

    Args:
        serve: function that each fork runs.

    Returns:
        The connection to it; None on systems that lack what it takes.
    """
    if not (hasattr(os, "pidfd_open") and hasattr(socket, "send_fds")):
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not os.fork():
        ours.close()
        _wait_for_requests(theirs, serve)
    theirs.close()
    return Forker(ours)


def _wait_for_requests(requests: socket.socket, serve: Serve) -> NoReturn:
    """The whole life of the process that forks."""
    try:
        os.setsid()  # Ctrl-C reaches the program, which stops its workers
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        mine = os.getpid()
        while True:
            request, files, _, _ = socket.recv_fds(requests, REQUEST.size, 1)
            if not request:  # the program is gone
                break
            kind, number = REQUEST.unpack(request)
            if kind == CODE:
                _, status = os.waitpid(number, 0)
                answer = os.waitstatus_to_exitcode(status)
            elif not (answer := os.fork()):
                requests.close()
                _be_worker(files[0], number, mine, serve)
            for file in files:
                os.close(file)
            requests.send(ANSWER.pack(answer))
    finally:
        os._exit(0)  # its objects are left alone: to free each would copy all memory that it shares


def _be_worker(file: int, threads: int, parent: int, serve: Serve) -> NoReturn:
    code = 1
    try:
        import torch

        torch.set_num_threads(threads)
        os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}  # for what it starts
        serve(file, parent)
        code = 0
    finally:
        os._exit(code)
