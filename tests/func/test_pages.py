"""What other sites' pages, names and arguments may do to the servers of `make serve`: nothing."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.func.browser import CHROMIUM, Browser
from tests.func.served import TEACHER, Served, until

pytestmark = [pytest.mark.timeout(600), pytest.mark.service]
EVIL = "http://evil.example"
FORBIDDEN = httpx.codes.FORBIDDEN


def foreign(address: str) -> list[dict[str, str]]:
    """Headers as other sites' pages send them."""
    port = address.rsplit(":", 1)[1]
    return [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": f"http://evil.example:{port}"},
        {"Origin": "http://localhost:1"},  # another server of this machine
        {"Origin": f"http://127.0.0.1.evil.example:{port}"},
        {"Host": "evil.example"},  # a name of theirs that leads here
        {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ]


def own(address: str) -> list[dict[str, str]]:
    """Headers as the servers' own pages and local programs send them."""
    port = address.rsplit(":", 1)[1]
    return [
        {},
        {"Origin": address},
        {"Origin": f"http://localhost:{port}", "Host": f"localhost:{port}"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},  # a link that the user follows
    ]


def test_prefect_s_server_answers_its_own_pages_alone(served: Served) -> None:
    run = f"{served.prefect}/api/deployments/{served.deployments()['pipeline']['id']}/create_flow_run"
    before = served.ask("flow_runs/count", {})
    for headers in foreign(served.prefect):
        assert httpx.post(run, json={"parameters": {}}, headers=headers).status_code == FORBIDDEN, headers
        answer = httpx.get(f"{served.prefect}/api/health", headers=headers)
        assert answer.status_code == FORBIDDEN
        assert "access-control-allow-origin" not in answer.headers
    assert served.ask("flow_runs/count", {}) == before
    for headers in own(served.prefect):
        assert httpx.get(f"{served.prefect}/api/health", headers=headers).status_code == httpx.codes.OK, headers
    events = f"{served.prefect.replace('http', 'ws')}/api/events/in"
    with connect(events, origin=None):
        pass
    with pytest.raises(InvalidStatus):
        connect(events, additional_headers={"Origin": EVIL})


def test_mlflow_s_server_answers_its_own_pages_alone(served: Served) -> None:
    create = f"{served.mlflow}/api/2.0/mlflow/experiments/create"
    for number, headers in enumerate(foreign(served.mlflow)):
        answer = httpx.post(create, json={"name": f"evil{number}"}, headers=headers)
        assert answer.status_code == FORBIDDEN, headers
        assert httpx.get(served.mlflow, headers=headers).status_code == FORBIDDEN
    for headers in own(served.mlflow):
        assert httpx.get(served.mlflow, headers=headers).status_code == httpx.codes.OK, headers


COMMAND = {"command": "touch pwned"}


@pytest.mark.parametrize(
    "variables", [COMMAND, {"env": {"PATH": "/tmp"}}, {"env.PATH": "/tmp"}, {"working_dir": "/tmp"}, {"any": 1}]
)
def test_a_run_may_not_say_what_is_executed(served: Served, variables: dict[str, Any]) -> None:
    before = served.ask("flow_runs/count", {})
    deployment = served.deployments()["pipeline"]["id"]
    body = {"parameters": {"until": "splits"}, "job_variables": variables}
    answer = served.answer(f"deployments/{deployment}/create_flow_run", body)
    assert answer.is_client_error, answer.text
    assert served.ask("flow_runs/count", {}) == before


def test_arguments_that_no_deployment_has_are_refused_before_a_run_exists(served: Served) -> None:
    before = served.ask("flow_runs/count", {})
    needed = {"dataset": "digits", "teacher": TEACHER, "architecture": '{"widths": [[4], [8], [8], [16]]}'}
    for name, deployment in served.deployments().items():
        known = deployment["parameter_openapi_schema"]["properties"]
        given = {key: value for key, value in needed.items() if key in known}
        answer = served.start(name, **given, unheard_of="1")
        assert answer.status_code == httpx.codes.CONFLICT, (name, answer.text)
        assert "unheard_of" in answer.text
    assert served.ask("flow_runs/count", {}) == before


# Asks as a page of another site can: with a body that needs no leave, as JSON, and by a form.
ATTACK = """
<form method=post action="%(run)s" enctype="text/plain" target=frame><input name='{"parameters":{},"x":"' value='"}'>
</form><iframe name=frame></iframe>
<script>
const body = JSON.stringify({parameters: {until: "splits"}, job_variables: {command: "touch pwned"}});
const ask = options => fetch("%(run)s", {method: "POST", body, ...options}).then(a => a.status, e => "blocked");
document.forms[0].submit();
Promise.all([ask({mode: "no-cors"}), ask({headers: {"Content-Type": "application/json"}}), ask({}),
  fetch("%(health)s").then(a => "read", e => "blocked")]).then(all => document.title = "done " + all.join());
</script>
"""


@pytest.fixture
def another_site(served: Served) -> Iterator[str]:
    run = f"{served.prefect}/api/deployments/{served.deployments()['pipeline']['id']}/create_flow_run"
    page = (ATTACK % {"run": run, "health": f"{served.prefect}/api/health"}).encode()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here: install it to see another site's page refused")
def test_another_site_s_page_starts_nothing_in_a_browser(served: Served, another_site: str, tmp_path: Path) -> None:
    before = served.ask("flow_runs/count", {})
    with Browser(tmp_path / "profile") as browser:
        browser.open(another_site)
        until(lambda: str(browser.evaluate("document.title")).startswith("done"), 60, "the page's requests")
        assert browser.evaluate("document.title") == "done 0,blocked,blocked,blocked"
        browser.open(served.prefect)  # the user's own look at the pages works on
        browser.wait_for("Deployments")
    assert served.ask("flow_runs/count", {}) == before
    assert not (served.sandbox.root / "pwned").exists()
