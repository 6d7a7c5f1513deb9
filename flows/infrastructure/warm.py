"""Stages of one `dvc repro` as forks of a process that has imported what they need, which takes seconds each time.

The first stage starts that process (`flows.infrastructure.warm_process`), and it ends with the `dvc repro` that it
serves. A forked stage gets the files and the environment of the process that DVC started, ends with it, and gives it
its exit status; the terminal's signals reach it as a member of the same group. Where a fork cannot be had, as on other
systems than Linux, the stage is carried out where DVC started it.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

import dass
from dass.errors import DassError
from dass.files import content_id
from dass.training.forking import MALLOC
from flows.infrastructure.exits import KEPT
from flows.infrastructure.processes import Process

FOLDER = Path(".prefect")  # relative to the project's folder, since the path of a socket may not be long
OF_A_STAGE = ("DVC_", "PWD=", "OLDPWD=", "SHLVL=", "_=")  # variables that may differ from stage to stage
MESSAGE = struct.Struct("!ci")
STARTED, ENDED = b"p", b"s"  # kinds of message, with the number of the stage's process, or with its exit code
LENGTH = struct.Struct("!I")  # of a request, in bytes
START_SECONDS = 300


def run_forked(words: Sequence[str], dvc: int) -> int | None:
    """Runs a stage as a fork of the warm process; to be called in the project's folder.

    Args:
        words: name of the stage's module, then the arguments of its command line.
        dvc: process id of `dvc repro`, with which the warm process ends.

    Returns:
        The stage's exit code, or 128 and the number of the signal that ended it; None where nothing was run.

    Raises:
        DassError: it cannot be known how the stage ended.
    """
    if not (hasattr(os, "pidfd_open") and hasattr(socket, "SO_PEERCRED")):
        return None
    with suppress(OSError, EOFError, psutil.Error), _connection(dvc) as connection:
        request = json.dumps({"words": list(words), "environment": dict(os.environ), "asker": os.getpid()}).encode()
        socket.send_fds(connection, [LENGTH.pack(len(request))], [0, 1, 2])
        connection.sendall(request)
        kind, stage = _message(connection)
        if kind == STARTED:
            connection.sendall(b"!")  # from here on it runs; before, it ends where this process is gone
            return _wait(connection, stage)
    return None


def is_mine(connection: socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket belongs to the same user."""
    credentials = struct.Struct("3i")  # process, user, group
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return credentials.unpack(peer)[1] == os.getuid()


@contextmanager
def _connection(dvc: int) -> Iterator[socket.socket]:
    """A connection to the warm process that serves `dvc`, started where there is none.

    Raises:
        OSError: there can be none.
    """
    address = _place(dvc)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(START_SECONDS)
        try:
            connection.connect(str(address))
        except (FileNotFoundError, ConnectionRefusedError):  # none yet, or it was killed
            _start(address, dvc)
            connection.connect(str(address))
        if is_mine(connection):
            yield connection
        else:
            raise PermissionError(f"{address} is another user's")


def _place(dvc: int) -> Path:
    """The socket of the process that may serve: one with this code, this environment, and this `dvc repro`."""
    folders = (Path(__file__).parents[1], Path(dass.__file__).parent)
    files = [(path, path.stat()) for folder in folders for path in sorted(folder.rglob("*.py"))]
    code = [(str(path), status.st_mtime_ns, status.st_size) for path, status in files]
    environment = {name: text for name, text in os.environ.items() if not f"{name}=".startswith(OF_A_STAGE)}
    return FOLDER / f"warm-{dvc}-{content_id([code, environment, Process.of(dvc).started])}.sock"


def _start(address: Path, dvc: int) -> None:
    """Starts a warm process, which may not answer yet, and takes away the sockets of those that no longer serve."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("warm-*.sock"):
        owner = int(old.name.split("-")[1])
        if owner == dvc or not psutil.pid_exists(owner):  # with its socket gone, a process of older code ends
            old.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.umask(0o177)  # nobody else may connect
        try:
            listener.bind(str(address))
        finally:
            os.umask(before)
        listener.listen()
        arguments = [str(listener.fileno()), str(address), str(dvc)]
        command = [sys.executable, "-m", "flows.infrastructure.warm_process", *arguments]
        environment = {"GLIBC_TUNABLES": MALLOC, **os.environ}
        # It leaves a process of its own behind.
        subprocess.run(command, env=environment, pass_fds=[listener.fileno()], check=False)


def _message(connection: socket.socket) -> tuple[bytes, int]:
    """What comes next.

    Raises:
        EOFError: nothing more comes.
    """
    message = connection.recv(MESSAGE.size, socket.MSG_WAITALL)
    if len(message) < MESSAGE.size:
        raise EOFError
    kind, number = MESSAGE.unpack(message)
    return kind, number


def _wait(connection: socket.socket, stage: int) -> int:
    """Waits for a stage's exit code; what tells this process to stop, tells the stage."""
    connection.settimeout(None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the stage, too
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(stage, number))
    try:
        return _message(connection)[1]
    except (EOFError, OSError) as error:
        with suppress(ProcessLookupError):
            os.kill(stage, signal.SIGTERM)
        raise DassError(f"the process that watched over the stage was killed: {KEPT}") from error
