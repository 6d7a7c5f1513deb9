"""What the environment says of proxies, and how this machine's own servers are reached past them."""

import os
import urllib.request
from urllib.parse import urlsplit

LOCAL = ("127.0.0.1", "localhost")


def to_this_machine() -> dict[str, str]:
    """What to add to an environment, so that this machine's servers are reached directly."""
    exceptions = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    value = ",".join(dict.fromkeys(filter(None, (*exceptions.split(","), *LOCAL))))
    return {"no_proxy": value, "NO_PROXY": value}


def is_here(address: str) -> bool:
    """Whether an address is one of this machine's own."""
    return _host(address) in LOCAL


def proxies_for(address: str) -> list[str]:
    """Names of the variables that put a proxy between here and an address; none where it is reached directly."""
    host, scheme = _host(address), address.partition("://")[0].lower()
    if not host or host in LOCAL or urllib.request.proxy_bypass(host):
        return []
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return [name for name in names if os.environ.get(name)]


def by_way_of(named: list[str]) -> str:
    """Tells that a request went through a proxy; `named` comes from `proxies_for`."""
    return f"it was asked by way of the proxy of {' and '.join(named)}"


def _host(address: str) -> str:
    try:
        return urlsplit(address.strip()).hostname or ""
    except ValueError:
        return ""
