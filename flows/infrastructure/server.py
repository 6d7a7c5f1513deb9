"""The project's own Prefect server: started by the first who needs it, shared by all, gone when nobody does.

`PREFECT_API_URL` names another server, which is then used as it is and left alone; nothing else does, so that no run
is recorded where somebody's `~/.prefect` happens to point.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

from filelock import FileLock

from dass.errors import DassError
from dass.files import write_json
from dass.tracking.address import masked
from dass.tracking.http_proxies import by_way_of, proxies_for, to_this_machine
from flows.infrastructure.processes import Process, end_family

START_SECONDS = 900  # a new database takes a slow machine minutes; one that has died is told of at once
ANSWER_SECONDS = 5
DEFAULT_PORT = 4200
HOST = "127.0.0.1"


@contextmanager
def prefect_server(root: Path, *, linger: bool = False) -> Iterator[str]:
    """Gives the API address of a Prefect server whose state lies in `root/.prefect`.

    The server and the processes that use it are noted in `.prefect/server.json`. The last of these to leave stops
    it, unless it lingers. Those that were killed do not count: a server that nobody uses ends by itself
    (`flows.infrastructure.prefect_pages`), and the runs that they left behind are ended by the next who comes.

    Args:
        root: folder of the project, which holds params.yaml.
        linger: leave the server to end by itself, since another user will come soon: the next stage of a pipeline.

    Raises:
        DassError: the server does not start, or PREFECT_API_URL names one that does not answer.
    """
    address = os.environ.get("PREFECT_API_URL")
    if address:
        if not answers(address):
            by = f" ({by_way_of(named)})" if (named := proxies_for(address)) else ""
            raise DassError(
                f"no Prefect server answers at PREFECT_API_URL={masked(address)}{by}: start it or unset the variable"
            )
        yield address
        return
    home = root.resolve() / ".prefect"
    joined = datetime.now(UTC)
    try:
        home.mkdir(parents=True, exist_ok=True)
        server, child, alone = _join(home)
    except OSError as error:
        raise DassError(f"cannot write to {home}: {error.strerror or error}: free space or fix permissions") from error
    try:
        while not _comes_to_answer(server):
            if child:
                raise DassError(f"the Prefect server did not start: its last words are in {home / 'server.log'}")
            server, child, alone = _join(home)  # it was killed just now
        if alone:
            _end_lost_runs(server.api, joined)
        yield server.api
    finally:
        _leave(home, linger)
        if child:
            child.poll()  # takes note of its end


@dataclass(frozen=True)
class Server:
    """What `.prefect/server.json` says.

    Attributes:
        api: address of the server's API, such as http://127.0.0.1:4200/api.
        home: folder of the note itself; a note that was copied with its project is none.
        process: process of the server.
        users: processes that use the server and have not left; some may have been killed.
    """

    api: str
    home: str
    process: Process
    users: tuple[Process, ...] = ()

    @property
    def living_users(self) -> tuple[Process, ...]:
        """Those that were not killed."""
        return tuple(user for user in self.users if user.alive)


def read_note(home: Path) -> Server | None:
    """What a `.prefect` folder says of its server; None where it says nothing or speaks of another folder's."""
    try:
        note = json.loads((home / "server.json").read_text(encoding="utf-8"))
        users = tuple(Process(**user) for user in note["users"])
        server = Server(note["api"], note["home"], Process(**note["process"]), users)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return server if server.home == str(home) else None


def retire(home: Path) -> bool:
    """Takes the server off its note where nobody uses it; says whether it may end now."""
    try:
        with _lock(home):
            server = read_note(home)
            if server is not None and server.living_users:
                return False
            (home / "server.json").unlink(missing_ok=True)
    except OSError:  # the folder is gone, or the disk: there is nobody left to serve
        pass
    return True


def listen(preferred: int) -> socket.socket:
    """A socket that listens on `preferred`, or where that is taken on a port that the system gives.

    Raises:
        DassError: there is no free port.
    """
    for port in (preferred, 0):
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, port))
            listener.listen(128)  # now, not when the server is ready: nobody else can take the port meanwhile
            return listener
        except OSError:
            listener.close()
    raise DassError(f"no free port on {HOST}")


def address_of(listener: socket.socket) -> str:
    """What to write into a browser to get to a listening socket."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


def answers(address: str) -> bool:
    """Whether a server of Prefect or MLflow is at an address and well."""
    try:
        with _opener(address).open(f"{address.rstrip('/')}/health", timeout=ANSWER_SECONDS) as response:
            return response.status == 200
    except (OSError, ValueError, HTTPException):  # refused, no address at all, no web server
        return False


def _opener(address: str) -> urllib.request.OpenerDirector:
    # A proxy, where there is one, does not know this machine.
    proxies: dict[str, str] | None = {} if HOST in address else None
    return urllib.request.build_opener(urllib.request.ProxyHandler(proxies))


def _lock(home: Path) -> FileLock:
    return FileLock(home / "server.lock")


def _join(home: Path) -> tuple[Server, subprocess.Popen[bytes] | None, bool]:
    """Notes this process as a user of the server that runs, or of a new one, which may not answer yet.

    Returns:
        The server; the process that was started for it, if any; whether nobody else uses it.
    """
    with _lock(home):
        server, child = read_note(home), None
        if server is None or not server.process.alive:
            server, child = _start(home)
        others = server.living_users
        server = replace(server, users=(*others, Process.of(os.getpid())))
        write_json(home / "server.json", asdict(server))
    return server, child, not others


def _leave(home: Path, linger: bool) -> None:
    """Takes this process off the note, and stops the server where no other uses it and it shall not linger."""
    with suppress(OSError, DassError), _lock(home):  # a note that cannot be written: who has ended does not count
        server = read_note(home)
        if server is None:
            return
        users = list(server.living_users)
        mine = [user for user in users if user.pid == os.getpid()]
        for user in mine[:1]:  # a process may use the server in two places
            users.remove(user)
        if server.process.alive and (users or linger):
            write_json(home / "server.json", asdict(replace(server, users=tuple(users))))
            return
        if server.process.alive:
            end_family(server.process.pid)
        (home / "server.json").unlink()


def _start(home: Path) -> tuple[Server, subprocess.Popen[bytes]]:
    with listen(DEFAULT_PORT) as listener, (home / "server.log").open("ab") as output:
        api = f"{address_of(listener)}/api"
        environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
        environment |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", **to_this_machine()}
        environment["PREFECT_UI_API_URL"] = api  # else the pages ask whatever is at Prefect's usual port
        child = subprocess.Popen(
            [sys.executable, "-m", "flows.infrastructure.prefect_pages", str(listener.fileno())],
            cwd=home.parent,
            env=environment,
            pass_fds=[listener.fileno()],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return Server(api, str(home), Process.of(child.pid)), child


def _comes_to_answer(server: Server) -> bool:
    until = time.monotonic() + START_SECONDS
    while not answers(server.api):
        if not server.process.alive or time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def _end_lost_runs(api: str, before: datetime) -> None:
    """Ends the runs that no process carries on: all that began before the only user of the server came."""
    lost = ["RUNNING", "PENDING", "CANCELLING"]
    with suppress(OSError, ValueError, HTTPException):  # the pages show them as running for longer, nothing worse
        for run in _ask(api, "flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": lost}}}, "limit": 200}):
            if datetime.fromisoformat(run["created"]) < before:
                kind = "CANCELLED" if run["state_type"] == "CANCELLING" else "CRASHED"
                state = {"type": kind, "name": kind.title(), "message": "Its process was killed."}
                _ask(api, f"flow_runs/{run['id']}/set_state", {"state": state})


def _ask(api: str, path: str, body: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{api}/{path}", json.dumps(body).encode(), headers)
    with _opener(api).open(request, timeout=60) as response:
        return json.load(response)
