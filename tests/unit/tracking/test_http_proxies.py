"""Proxies of the environment: none for this machine, and named where a server behind them does not answer."""

import os

import pytest

from dass.errors import DassError
from dass.tracking.http_proxies import proxies_for, to_this_machine
from dass.tracking.store import open_store

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _none_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("no_proxy", "NO_PROXY"):  # as they were, after what is tested has set them
        monkeypatch.setenv(name, "")


def test_which_proxies_are_between(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxies_for("http://far.example") == []
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    assert proxies_for("http://far.example:5000/api") == ["HTTP_PROXY", "all_proxy"]
    assert proxies_for("https://far.example") == ["all_proxy"]
    for near in ("http://127.0.0.1:5000", "http://localhost/api", "sqlite:////x/mlflow.db", "nonsense", "http://["):
        assert proxies_for(near) == []
    monkeypatch.setenv("no_proxy", "far.example")
    assert proxies_for("http://far.example") == []
    assert to_this_machine()["NO_PROXY"] == "far.example,127.0.0.1,localhost"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("proxy", [NOBODY, "socks5://127.0.0.1:9"])
def test_a_tracking_server_behind_a_proxy_that_does_not_work(
    name: str, proxy: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://far.example:5000")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv(name, proxy)
    with pytest.raises(DassError, match=f"proxy of {name}"):
        open_store(tmp_path_factory.mktemp("project"))
