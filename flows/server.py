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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from dass.errors import DassError
from dass.files import write_json
from flows.stage import exit_with_line

START_SECONDS = 120
STOP_SECONDS = 8
DEFAULT_PORT = 4200


def main() -> None:
    """Runs the command of `sys.argv` under a server and passes its exit code on."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with exit_with_line(), prefect_server(Path.cwd()) as api:
        code = run_group(sys.argv[1:], {**os.environ, "PREFECT_API_URL": api})
    sys.exit(code)


def run_group(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs a command; when this process is told to stop, all that the command started is told so too.

    A flow that is stopped tells the server: it gets time for that before the server goes.

    Returns:
        Its exit code.
    """
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return process.wait()
    except BaseException:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.terminate()
        _, left = psutil.wait_procs(family, timeout=STOP_SECONDS)
        for member in left:
            member.kill()
        process.wait()
        raise


@contextmanager
def prefect_server(root: Path) -> Iterator[str]:
    """Gives the API address of a Prefect server whose state lies in `root/.prefect`.

    The server's address and owner are noted in `.prefect/server.json`; a server whose owner was killed is
    taken over, and stopped at the end, rather than left behind.

    Raises:
        DassError: the server does not answer in time, or PREFECT_API_URL names one that does not.
    """
    given = os.environ.get("PREFECT_API_URL")
    if given:
        if not _answers(given):
            raise DassError(f"no Prefect server answers at PREFECT_API_URL={given}: start it or unset the variable")
        yield given
        return
    home = root / ".prefect"
    note = home / "server.json"
    running = _read_note(note)
    server = None
    if not running or not _answers(running["api"]):
        running, server = _start(home, note)
    try:
        yield running["api"]
    finally:
        if server or not _alive(running["owner"]):
            _stop(running["server"], server)
            note.unlink(missing_ok=True)


def free_port(preferred: int) -> int:
    """`preferred` where nothing listens on it, else a port that the system gives."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise DassError("no free port on 127.0.0.1")


def _start(home: Path, note: Path) -> tuple[dict, subprocess.Popen[bytes]]:
    home.mkdir(parents=True, exist_ok=True)
    port = free_port(DEFAULT_PORT)
    api = f"http://127.0.0.1:{port}/api"
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    environment |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    log = home / "server.log"
    with log.open("ab") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    until = time.monotonic() + START_SECONDS
    while not _answers(api):
        if server.poll() is not None or time.monotonic() > until:
            _stop(server.pid, server)
            raise DassError(f"the Prefect server did not start: its last words are in {log}")
        time.sleep(0.2)
    running = {"api": api, "server": server.pid, "owner": os.getpid()}
    write_json(note, running)
    return running, server


def _stop(pid: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Ends a server: a child of this process, which must be waited for, or one that was taken over."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(pid, sign)
        until = time.monotonic() + STOP_SECONDS
        while time.monotonic() < until:
            if (process.poll() is not None) if process else not _alive(pid):
                return
            time.sleep(0.1)


def _answers(api: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _read_note(note: Path) -> dict | None:
    try:
        return json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    main()
