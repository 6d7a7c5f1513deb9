"""One real Prefect server per command: started, shared, taken over, stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dass.errors import DassError, UsageError
from flows import server
from flows.server import free_port, prefect_server, run_group

ROOT = Path(__file__).parents[2]
User = subprocess.Popen[str]
NOBODY = "http://127.0.0.1:9"  # the port of a service that no machine runs any more
PROXY = dict.fromkeys(("HTTP_PROXY", "http_proxy"), NOBODY)

# What a command does under a server: it asks, as Prefect would, the address that it was given.
ASK = """
import os, sys, urllib.request
from pathlib import Path
print(os.environ["PREFECT_API_URL"], urllib.request.urlopen(os.environ["PREFECT_API_URL"] + "/health").status)
print(Path(".prefect/server.json").read_text().replace("\\n", ""))
sys.exit(7)
"""

# Another process that uses a project's server until it is told to go, or dies.
USE = """
import os, signal, sys
from pathlib import Path
from flows.server import prefect_server
with prefect_server(Path(sys.argv[1])) as api:
    print(api, flush=True)
    if sys.stdin.readline() == "die\\n":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def _own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may reach the server of the person who runs the tests."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def answers(api: str) -> bool:
    try:
        return urllib.request.urlopen(f"{api}/health", timeout=5).status == 200
    except OSError:
        return False


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def run_main(root: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`python -m flows.server COMMAND` in a project."""
    return subprocess.run(
        [sys.executable, "-m", "flows.server", *command],
        cwd=root, env=environment(**more), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


@pytest.fixture
def another_user() -> Iterator[Callable[[Path], tuple[User, str]]]:
    """Starts another process that uses a project's server, and gives it with the address it got."""
    users: list[User] = []

    def start(root: Path) -> tuple[User, str]:
        user = subprocess.Popen(
            [sys.executable, "-c", USE, str(root)],
            env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        users.append(user)
        assert user.stdout is not None
        return user, user.stdout.readline().strip()

    yield start
    for user in users:
        if user.poll() is None:
            user.communicate("go\n")


def test_a_command_has_a_server_while_it_lasts(tmp_path: Path) -> None:
    """Behind a proxy too, and whatever an earlier run left: here a note whose number is now another process's."""
    (tmp_path / ".prefect").mkdir()
    me = {"pid": os.getpid(), "started": 0.0}
    note = tmp_path / ".prefect" / "server.json"
    note.write_text(json.dumps({"api": NOBODY, "process": me, "users": [me]}))

    done = run_main(tmp_path, sys.executable, "-c", ASK, **PROXY)
    assert done.returncode == 7, done.stderr
    address, noted = done.stdout.splitlines()
    api, status = address.split()
    found = json.loads(noted)
    assert (status, found["api"]) == ("200", api)
    assert found["process"]["pid"] not in (os.getpid(), found["users"][0]["pid"])
    assert len(found["users"]) == 1

    assert not answers(api)
    assert not psutil.pid_exists(found["process"]["pid"])
    assert not note.exists()
    assert (tmp_path / ".prefect" / "prefect.db").exists()  # its state stays in the project


def test_a_server_is_shared_taken_over_and_stopped_by_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another_user: Callable[[Path], tuple[User, str]]
) -> None:
    killed, api = another_user(tmp_path)
    killed.communicate("die\n")
    assert killed.returncode == -signal.SIGKILL
    assert answers(api)  # left behind

    pid = json.loads((tmp_path / ".prefect" / "server.json").read_text())["process"]["pid"]
    with prefect_server(tmp_path) as taken_over:
        assert taken_over == api
        with prefect_server(tmp_path) as again:
            assert again == api
        other, same = another_user(tmp_path)
        assert same == api

        monkeypatch.setenv("PREFECT_API_URL", f"{api}/")
        with prefect_server(tmp_path / "elsewhere") as given:  # of somebody else: used, and left alone
            assert given == f"{api}/"
        stops_what_it_started(tmp_path, api)
        monkeypatch.delenv("PREFECT_API_URL")
        a_stage_tells_its_failure_in_one_line(tmp_path, api)
        assert answers(api)
    assert answers(api)  # the other still uses it
    other.communicate("go\n")
    assert other.returncode == 0
    assert not answers(api)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / ".prefect" / "server.json").exists()


def stops_what_it_started(root: Path, api: str) -> None:
    """A command that is told to stop takes along all that it has started, but not a server that was given."""
    for stop, before in ((signal.SIGTERM, []), (signal.SIGHUP, []), (signal.SIGTERM, ["nohup"])):
        started = root / f"started-{stop}{len(before)}"
        script = f"sleep 300 & echo $! > {started}.tmp; mv {started}.tmp {started}; wait"
        command = subprocess.Popen(
            [*before, sys.executable, "-m", "flows.server", "sh", "-c", script],
            cwd=root, env=environment(PREFECT_API_URL=api), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while not started.exists():
            time.sleep(0.05)
        if before:  # its terminal may be closed
            command.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            assert command.poll() is None
        command.send_signal(stop)
        command.send_signal(stop)  # as a closed terminal does
        assert command.wait() == 128 + stop
        sleeper = int(started.read_text())
        assert not psutil.pid_exists(sleeper) or psutil.Process(sleeper).status() == psutil.STATUS_ZOMBIE
    assert answers(api)


# A stage whose task fails in a way that the user can mend.
STAGE = """
import sys
from prefect import flow, task
from dass.errors import UsageError
from flows.stage import run_stage

@task
def look(name):
    raise UsageError(f"there is no {name}: give\\nanother")

@flow
def stage(name):
    look(name)

run_stage(stage, *sys.argv[1:])
"""


def a_stage_tells_its_failure_in_one_line(root: Path, api: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STAGE, "dog"], cwd=root, env=environment(PREFECT_API_URL=api), capture_output=True,
        text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    *log, last = done.stderr.splitlines()
    assert last == "error: there is no dog: give another"
    assert any("Finished in state Failed" in line for line in log)
    assert "Traceback" not in done.stderr


def test_a_server_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    done = run_main(
        tmp_path, "true", PREFECT_SERVER_DATABASE_CONNECTION_URL="sqlite+aiosqlite:////proc/none/prefect.db"
    )
    assert (done.returncode, done.stdout) == (1, "")
    log = tmp_path / ".prefect" / "server.log"
    assert done.stderr == f"error: the Prefect server did not start: its last words are in {log}\n"
    assert "unable to open database file" in log.read_text()
    assert not (tmp_path / ".prefect" / "server.json").exists()


@pytest.mark.parametrize("address", [NOBODY, "nonsense", "http://[", "ftp://127.0.0.1:9/api"])
def test_an_address_where_nothing_answers_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", address)
    with pytest.raises(DassError) as caught, prefect_server(tmp_path):
        pass
    assert str(caught.value) == (
        f"no Prefect server answers at PREFECT_API_URL={address}: start it or unset the variable"
    )
    assert not list(tmp_path.iterdir())


def test_an_address_of_another_service_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{other.getsockname()[1]}/api")
        monkeypatch.setattr(server, "ANSWER_SECONDS", 0.2)
        with pytest.raises(DassError, match="no Prefect server answers"), prefect_server(tmp_path):
            pass


def test_main_tells_wrong_use_and_failure_in_one_line(tmp_path: Path) -> None:
    done = run_main(tmp_path)
    assert (done.returncode, done.stderr) == (
        2, "error: which command? For example: python -m flows.server dvc repro\n"
    )  # fmt: skip
    done = run_main(tmp_path, "true", PREFECT_API_URL=NOBODY)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no Prefect server answers at") and done.stderr.count("\n") == 1


def test_exit_codes_are_passed_on() -> None:
    assert run_group(["true"], os.environ) == 0
    assert run_group(["sh", "-c", "exit 5"], os.environ) == 5
    assert run_group(["sh", "-c", "kill -9 $$"], os.environ) == 128 + 9
    with pytest.raises(UsageError, match="cannot run no-such-command: No such file or directory"):
        run_group(["no-such-command"], os.environ)


def test_a_port_that_is_taken_is_not_given() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port
