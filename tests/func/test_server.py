"""The project's own Prefect server: started by the first stage, shared, taken over, gone by itself."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from dass.errors import DassError, UsageError
from flows.infrastructure import server
from flows.infrastructure.processes import run_group
from flows.infrastructure.server import listen, prefect_server
from tests.func.served import until

ROOT = Path(__file__).parents[2]
User = subprocess.Popen[str]
NOBODY = "http://127.0.0.1:9"  # the port of a service that no machine runs any more
PROXY = {"HTTP_PROXY": NOBODY, "http_proxy": NOBODY, "ALL_PROXY": "socks5://127.0.0.1:9"}

# Another process that uses a project's server until it is told to go, or dies.
USE = """
import os, signal, sys
from pathlib import Path
from flows.infrastructure.server import prefect_server
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


def run(root: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`python -m flows.run ...` in a project."""
    return subprocess.run(
        [sys.executable, "-m", "flows.run", *words],
        cwd=root, env=environment(**more), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def note_of(root: Path) -> dict:
    return json.loads((root / ".prefect" / "server.json").read_text())


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


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


def test_stages_alone_share_a_server_that_ends_by_itself(tmp_path: Path) -> None:
    """Whatever the home's profile, the proxies and a note that was copied with the project say."""
    home, project = tmp_path / "home", tmp_path / "project"
    (home / ".prefect").mkdir(parents=True)
    (home / ".prefect" / "profiles.toml").write_text(
        f'active = "theirs"\n[profiles.theirs]\nPREFECT_API_URL = "{NOBODY}/api"\n'
    )
    (project / ".prefect").mkdir(parents=True)
    (project / "prefect.toml").write_bytes((ROOT / "prefect.toml").read_bytes())
    me = {"pid": os.getpid(), "started": psutil.Process().create_time() - psutil.boot_time()}
    note = {"api": f"{NOBODY}/api", "home": str(tmp_path / "other" / ".prefect"), "process": me, "users": [me]}
    (project / ".prefect" / "server.json").write_text(json.dumps(note))

    outside = {"HOME": str(home), "DASS_IDLE_SECONDS": "5", **PROXY}
    pids = []
    for _ in range(2):
        done = run(project, "slots", **outside)
        assert (done.returncode, done.stdout) == (0, "freed: nothing was taken\n"), done.stderr
        pids.append(note_of(project)["process"]["pid"])
    assert pids[0] == pids[1] != os.getpid()
    assert note_of(project)["users"] == []
    assert (project / ".prefect" / "prefect.db").exists()  # its state stays in the project
    until(lambda: is_gone(pids[0]), 40, "the server to end by itself")
    assert not (project / ".prefect" / "server.json").exists()
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["profiles.toml"]


def test_a_server_is_shared_taken_over_and_stopped_by_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another_user: Callable[[Path], tuple[User, str]]
) -> None:
    killed, api = another_user(tmp_path)
    run_id = a_run_at_work(api)
    killed.communicate("die\n")
    assert killed.returncode == -signal.SIGKILL
    assert answers(api)  # left behind

    pid = note_of(tmp_path)["process"]["pid"]
    with prefect_server(tmp_path) as taken_over:
        assert taken_over == api
        lost = httpx.get(f"{api}/flow_runs/{run_id}").json()
        assert lost["state_type"] == "CRASHED"  # nobody carries it on
        alive = a_run_at_work(api)
        with prefect_server(tmp_path) as again:
            assert again == api
        other, same = another_user(tmp_path)
        assert same == api
        assert httpx.get(f"{api}/flow_runs/{alive}").json()["state_type"] == "RUNNING"

        monkeypatch.setenv("PREFECT_API_URL", f"{api}/")
        with prefect_server(tmp_path / "elsewhere") as given:  # of somebody else: used, and left alone
            assert given == f"{api}/"
        monkeypatch.delenv("PREFECT_API_URL")
        a_stage_tells_its_failure_in_one_line(tmp_path, api)
        assert answers(api)
    assert answers(api)  # the other still uses it
    other.communicate("go\n")
    assert other.returncode == 0
    assert not answers(api)
    assert is_gone(pid)
    assert not (tmp_path / ".prefect" / "server.json").exists()


def a_run_at_work(api: str) -> str:
    flow = posted(f"{api}/flows/", {"name": "any"})
    return posted(f"{api}/flow_runs/", {"flow_id": flow, "state": {"type": "RUNNING", "name": "Running"}})


def posted(address: str, body: dict) -> str:
    """The id of what is made; a server whose database is taken for a moment says 503 and is asked again."""
    answer: list[httpx.Response] = []

    def made() -> bool:
        answer.append(httpx.post(address, json=body))
        return answer[-1].status_code != 503

    until(made, 60, f"an answer of {address}")
    return answer[-1].raise_for_status().json()["id"]


def test_a_server_that_was_killed_is_replaced(tmp_path: Path, another_user: Callable[[Path], tuple[User, str]]) -> None:
    user, _ = another_user(tmp_path)
    first = note_of(tmp_path)["process"]["pid"]
    os.kill(first, signal.SIGKILL)
    with prefect_server(tmp_path) as api:
        assert answers(api)
        assert note_of(tmp_path)["process"]["pid"] != first
    user.communicate("go\n")


# Starts a process that is to end with it, and one more below that; says their numbers.
FOLLOWED = """
import os, subprocess, sys, time
from flows.infrastructure.processes import behind_shell, end_with_parent
if sys.argv[1] == "child":
    below = subprocess.Popen(["sleep", "300"])
    print(below.pid, flush=True)
    end_with_parent(behind_shell("followed.py child"))
    print(os.getpid(), flush=True)
else:
    command = f"{sys.executable} followed.py child; true"  # the shell stays between, as under dvc
    child = subprocess.Popen(["sh", "-c", command], start_new_session=True)
    print(child.pid, flush=True)
time.sleep(300)
"""


def test_what_follows_its_parent_ends_with_all_it_started_when_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "followed.py").write_text(FOLLOWED)
    parent = subprocess.Popen(
        [sys.executable, "followed.py", "parent"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(parent.stdout.readline()) for _ in range(3)]
        parent.kill()
        parent.wait()
        until(lambda: all(map(is_gone, pids)), 30, "the others to end")


# A stage whose task fails in a way that the user can mend.
STAGE = """
import sys
from prefect import flow, task
from dass.errors import UsageError
from flows.infrastructure.stage import run_stage

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
    log = done.stderr.splitlines()
    assert "error: there is no dog: give another" in log  # Prefect may say after it that it still sends events
    assert any("Finished in state Failed" in line for line in log)
    assert "Traceback" not in done.stderr


def test_a_server_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    done = run(tmp_path, "slots", PREFECT_SERVER_DATABASE_CONNECTION_URL="sqlite+aiosqlite:////proc/none/prefect.db")
    assert (done.returncode, done.stdout) == (1, "")
    log = tmp_path / ".prefect" / "server.log"
    assert len(done.stderr.splitlines()) == 1 and str(log) in done.stderr
    assert "unable to open database file" in log.read_text()
    assert not (tmp_path / ".prefect" / "server.json").exists()


@pytest.mark.parametrize("address", [NOBODY, "nonsense", "http://[", "ftp://127.0.0.1:9/api"])
def test_an_address_where_nothing_answers_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", address)
    with pytest.raises(DassError) as caught, prefect_server(tmp_path):
        pass
    assert f"PREFECT_API_URL={address}" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_an_address_of_another_service_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{other.getsockname()[1]}/api")
        monkeypatch.setattr(server, "ANSWER_SECONDS", 0.2)
        with pytest.raises(DassError, match="no Prefect server answers"), prefect_server(tmp_path):
            pass


@pytest.mark.parametrize(
    ("words", "more", "code", "named"),
    [
        ([], {}, 2, "''"),
        (["../evil"], {}, 2, "../evil"),
        (["nothing"], {}, 2, "nothing"),
        (["slots"], {"PREFECT_API_URL": NOBODY}, 1, NOBODY),
        (
            ["slots"],
            {"PREFECT_API_URL": "http://prefect.invalid/api", "HTTP_PROXY": "nonsense://x"},
            1,
            "prefect.invalid",
        ),
    ],
)
def test_wrong_use_and_failure_are_one_line(
    tmp_path: Path, words: list[str], more: dict[str, str], code: int, named: str
) -> None:
    done = run(tmp_path, *words, **more)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert named in done.stderr


def test_exit_codes_are_passed_on() -> None:
    assert run_group(["true"], os.environ) == 0
    assert run_group(["sh", "-c", "exit 5"], os.environ) == 5
    assert run_group(["sh", "-c", "kill -9 $$"], os.environ) == 128 + 9
    with pytest.raises(UsageError, match="no-such-command"):
        run_group(["no-such-command"], os.environ)


def test_a_port_that_is_taken_is_not_given() -> None:
    with listen(0) as taken:  # nobody has asked it anything yet
        port = taken.getsockname()[1]
        with listen(port) as other:
            assert other.getsockname()[1] != port
    with listen(port) as free:
        assert free.getsockname()[1] == port
