"""One Prefect server for a whole command, so that its start is paid once and not once per stage.

Used as `python -m flows.server COMMAND ...`: a server that already answers is used as it is; otherwise one is
started for the command and stopped after it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from http.client import HTTPException
from pathlib import Path

import psutil
from filelock import FileLock

from dass.errors import DassError, UsageError
from dass.files import write_json
from flows.stage import exit_with_line

START_SECONDS = 120
STOP_SECONDS = 8
ANSWER_SECONDS = 2
DEFAULT_PORT = 4200
HOST = "127.0.0.1"


def main() -> None:
    """Runs the command of `sys.argv` under a server and passes its exit code on."""
    when_stopped(lambda number: sys.exit(128 + number))
    with exit_with_line():
        if not sys.argv[1:]:
            raise UsageError("which command? For example: python -m flows.server dvc repro")
        with prefect_server(Path.cwd()) as api:
            code = run_group(sys.argv[1:], {**os.environ, "PREFECT_API_URL": api, **_without_proxy()})
    sys.exit(code)


def when_stopped(leave: Callable[[int], None]) -> None:
    """Has a function called, with the signal's number, when this process is told to stop or its terminal is closed.

    It is called once: a closed terminal tells twice, and the second time would end the tidying up. What is ignored,
    as `nohup` has it, stays so.
    """
    stops = [stop for stop in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(stop) is not signal.SIG_IGN]

    def told(number: int, _: object) -> None:
        for stop in stops:
            signal.signal(stop, signal.SIG_IGN)
        leave(number)

    for stop in stops:
        signal.signal(stop, told)


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


@contextmanager
def prefect_server(root: Path) -> Iterator[str]:
    """Gives the API address of a Prefect server whose state lies in `root/.prefect`.

    The server and the processes that use it are noted in `.prefect/server.json`. The last of these to leave stops
    it; those that were killed do not count, so that no server is left behind for longer than until the next use.

    Raises:
        DassError: the server does not answer in time, or PREFECT_API_URL names one that does not.
    """
    given = os.environ.get("PREFECT_API_URL")
    if given:
        if not answers(given):
            raise DassError(f"no Prefect server answers at PREFECT_API_URL={given}: start it or unset the variable")
        yield given
        return
    home = root / ".prefect"
    home.mkdir(parents=True, exist_ok=True)
    server, child = _join(home)
    try:
        _wait_for_answer(server, home)
        yield server.api
    finally:
        _leave(home)
        if child:
            child.poll()  # takes note of its end


def free_port(preferred: int) -> int:
    """`preferred` where nothing listens on it, else a port that the system gives."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return probe.getsockname()[1]
    raise DassError(f"no free port on {HOST}")


@dataclass(frozen=True)
class _Process:
    """A process, told apart from a later one that got its number.

    Attributes:
        pid: its number.
        started: seconds from the machine's start to its own, which no change of the clock moves.
    """

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "_Process":
        return cls(pid, psutil.Process(pid).create_time() - psutil.boot_time())

    @property
    def alive(self) -> bool:
        try:
            now = _Process.of(self.pid)
            return abs(now.started - self.started) < 1 and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@dataclass(frozen=True)
class _Server:
    """What `.prefect/server.json` says."""

    api: str
    process: _Process
    users: tuple[_Process, ...] = ()


def _join(home: Path) -> tuple[_Server, subprocess.Popen[bytes] | None]:
    """Notes this process as a user of the server that runs, or of a new one, which may not answer yet."""
    with FileLock(home / "server.lock"):
        server, child = _read_note(home), None
        if server is None or not server.process.alive:
            server, child = _start(home)
        users = (*(user for user in server.users if user.alive), _Process.of(os.getpid()))
        server = replace(server, users=users)
        write_json(home / "server.json", asdict(server))
    return server, child


def _leave(home: Path) -> None:
    """Takes this process off the note, and stops the server where no other uses it."""
    with FileLock(home / "server.lock"):
        server = _read_note(home)
        if server is None:
            return
        users = [user for user in server.users if user.alive]
        mine = [user for user in users if user.pid == os.getpid()]
        for user in mine[:1]:  # a process may use the server in two places
            users.remove(user)
        if users:
            write_json(home / "server.json", asdict(replace(server, users=tuple(users))))
            return
        if server.process.alive:
            end_family(server.process.pid)
        (home / "server.json").unlink()


def _start(home: Path) -> tuple[_Server, subprocess.Popen[bytes]]:
    port = free_port(DEFAULT_PORT)
    api = f"http://{HOST}:{port}/api"
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    environment |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", **_without_proxy()}
    environment["PREFECT_UI_API_URL"] = api  # else the pages ask whatever is at Prefect's usual port
    with (home / "server.log").open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return _Server(api, _Process.of(child.pid)), child


def _wait_for_answer(server: _Server, home: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not answers(server.api):
        if not server.process.alive or time.monotonic() > until:
            raise DassError(f"the Prefect server did not start: its last words are in {home / 'server.log'}")
        time.sleep(0.2)


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


def answers(address: str) -> bool:
    """Whether a server of Prefect or MLflow is at an address and well."""
    # A proxy, where there is one, does not know this machine.
    proxies: dict[str, str] | None = {} if HOST in address else None
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
        with opener.open(f"{address.rstrip('/')}/health", timeout=ANSWER_SECONDS) as response:
            return response.status == 200
    except (OSError, ValueError, HTTPException):  # refused, no address at all, no web server
        return False


def _without_proxy() -> dict[str, str]:
    """What to add to the environment of Prefect's processes, so that they reach this machine directly."""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    value = ",".join(filter(None, (known, HOST)))
    return {"no_proxy": value, "NO_PROXY": value}


def _read_note(home: Path) -> _Server | None:
    try:
        note = json.loads((home / "server.json").read_text(encoding="utf-8"))
        users = tuple(_Process(**user) for user in note["users"])
        return _Server(note["api"], _Process(**note["process"]), users)
    except (OSError, ValueError, KeyError, TypeError):
        return None


if __name__ == "__main__":
    main()
