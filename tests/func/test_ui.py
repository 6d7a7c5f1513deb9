"""Both pages in a real browser, as in tests/func/tour.py."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.func.browser import CHROMIUM, Browser
from tests.func.served import Served
from tests.func.tour import Tour

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here: install it to see the pages tested"),
    pytest.mark.timeout(600),
]


@pytest.fixture
def tour(served: Served, tmp_path: Path) -> Iterator[Tour]:
    with Browser(tmp_path / "profile") as browser:
        yield Tour(browser, served.prefect, served.mlflow, tmp_path / "pictures")


def test_the_form_starts_a_search_that_completes_and_all_it_leaves_can_be_seen(served: Served, tour: Tour) -> None:
    served.run("build-database", of="source", count=2)  # something to be seen in MLflow's list of runs
    tour.start_a_search("0.3")
    ranking = tour.look_at_what_it_left()
    [run] = served.ask("flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})
    assert run["state_type"] == "COMPLETED"
    assert (run["parameters"]["max_macs"], run["parameters"]["then"]) == (0.3, "register")
    rows = json.loads(served.artifacts(run)["table"]["data"])
    assert len(rows) == 10
    assert all(row["arch_id"] in ranking for row in rows)
    tour.look_around_in_mlflow()
    for picture in tour.folder.iterdir():
        assert picture.stat().st_size < 150_000
        with Image.open(picture) as image:
            assert image.size == (1280, 800)


def test_cancel_on_the_page_stops_a_run(served: Served, tour: Tour) -> None:
    run = served.start("build-database", of="source", count=80).raise_for_status().json()["id"]
    browser = tour.browser
    browser.open(f"{served.prefect}/runs/flow-run/{run}")
    browser.wait_for("students of split0:", seconds=120)  # it is at work
    browser.press("Cancel")
    browser.wait_for("This will put flow run")
    browser.press("Confirm")
    assert served.wait(run)["state_type"] == "CANCELLED"
    browser.wait_for("Cancelled")
    assert served.processes() == []
