"""Web pages for this machine's own browser: no other site may use them through it."""

import socket
from typing import Any
from urllib.parse import urlsplit

from dass.tracking.http_proxies import LOCAL

REFUSED = b"asked by another site, or under another name than localhost: refused\n"


class OwnPages:
    """An ASGI application that passes on what its own pages and local programs ask, and refuses other sites.

    A page of another site that the browser shows could else send requests here. It is told by its Origin; and, where
    it has pointed a name of its own to 127.0.0.1 (DNS rebinding), by the Host that it asks for.

    Args:
        app: ASGI application that answers what is passed on.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one connection, as the ASGI protocol has it."""
        if scope["type"] == "lifespan" or _is_own(scope["headers"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(REFUSED))]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": REFUSED})


def serve(app: Any, listener: int) -> None:
    """Answers on a listening socket until this process is told to stop.

    Args:
        app: ASGI application, which is served behind `OwnPages`.
        listener: file descriptor of a socket that listens already.
    """
    import uvicorn

    config = uvicorn.Config(OwnPages(app), log_level="warning", timeout_graceful_shutdown=3)
    with socket.socket(fileno=listener) as taken:
        uvicorn.Server(config).run(sockets=[taken])


def _is_own(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a request names this machine, and was made by a page of this server or by no page."""
    hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
    origins = [value.decode("latin-1").lower() for name, value in headers if name == b"origin"]
    if len(hosts) != 1:
        return False
    name, _, port = hosts[0].partition(":")
    if name not in LOCAL or _other_site(headers):
        return False
    own = {(host, port) for host in LOCAL}
    return all(_place(origin) in own for origin in origins)


def _other_site(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the browser says that another site's page asks, except by a link that the user follows."""
    values = {name: value for name, value in headers if name.startswith(b"sec-fetch-")}
    return values.get(b"sec-fetch-site") == b"cross-site" and values.get(b"sec-fetch-mode") != b"navigate"


def _place(origin: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(origin)
        return (parts.hostname or "", str(parts.port or "")) if parts.scheme == "http" else None
    except ValueError:
        return None
