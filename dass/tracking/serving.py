"""Registered models over HTTP: `ScoringApp` behind a server that does not wait for ever."""

import asyncio
import errno
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dass.errors import UsageError
from dass.tracking.registry import registered
from dass.tracking.scorer import STUDENT
from dass.tracking.scoring_app import ScoringApp
from dass.tracking.store import Store, import_quietly

if TYPE_CHECKING:
    import uvicorn
    from mlflow.pyfunc import PyFuncModel

HEADER_SECONDS = 10.0  # until all headers of a request have come
CONNECTIONS = 256  # at once


NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)=(models:.*)")


def load_app(store: Store, addresses: Sequence[str], max_bytes: int) -> ScoringApp:
    """The application that answers with registered models.

    Args:
        store: tracking store that holds the registered models.
        addresses: models:/NAME/VERSION or models:/NAME@ALIAS of each; `OTHER=models:/...` serves it under another name
            than that in the registry.
        max_bytes: a larger request is answered 413 before more than that of it has been read.

    Raises:
        UsageError: an address is not that of a registered model, or two have one name.
        DassError: the store failed.
    """
    models: dict[str, PyFuncModel] = {}
    for address in addresses:
        match = NAMED.fullmatch(address)
        uri = match[2] if match else address
        name = match[1] if match else registered(store, uri).name
        if name in models:
            raise UsageError(f"two models are named {name}: give one another name, such as other={uri}")
        models[name] = _load(store, uri)
    return ScoringApp(models, max_bytes)


def _load(store: Store, uri: str) -> "PyFuncModel":
    import_quietly("mlflow.pyfunc.scoring_server")
    import mlflow

    version = registered(store, uri)
    mlflow.set_tracking_uri(store.uri)
    with store.errors(f"load {uri}"):
        model = mlflow.pyfunc.load_model(version.uri)
    if model.metadata.flavors["python_function"].get("loader_module") == STUDENT:
        # Of students filed by earlier versions: MLflow would cut fractions off before the student sees them.
        model.metadata.signature = None
    return model


def bind(host: str, port: int) -> socket.socket:
    """Takes an address, IPv4 or IPv6, before anyone is told of it.

    Args:
        host: address to listen at.
        port: port to listen at, 0 for any free one.

    Raises:
        UsageError: there is no such address here, or another process has it.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        remedy = "another process has it: give another --port" if taken else f"{error.strerror or error}: give --host"
        raise UsageError(f"cannot listen at {host}, port {port}: {remedy}") from error


def run_app(app: ScoringApp, listening: socket.socket) -> None:
    """Answers requests, see `ScoringApp`, until it is stopped.

    Args:
        app: application that answers requests.
        listening: socket that `bind` returned.
    """
    host, port = listening.getsockname()[:2]
    with suppress(KeyboardInterrupt), listening:
        make_server(app, host, port).run(sockets=[listening])


def make_server(app: ScoringApp, host: str, port: int) -> "uvicorn.Server":
    """A server that closes connections which do not send a request."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        """Hangs up where headers do not come to their end, which uvicorn waits for without limit."""

        _waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > CONNECTIONS:
                transport.abort()
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()
            else:
                self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait(self) -> None:
            """Sets the clock, unless it runs: a byte now and then does not put it back."""
            if self._waiting is None:
                self._waiting = self.loop.call_later(HEADER_SECONDS, self._hang_up)

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _hang_up(self) -> None:
            self._waiting = None
            self.transport.close()

    settings: dict[str, Any] = {"ws": "none", "lifespan": "off", "log_level": "error", "http": Impatient}
    return uvicorn.Server(uvicorn.Config(app, host=host, port=port, **settings))
