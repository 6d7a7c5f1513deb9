"""A registered model over HTTP: `ScoringApp` behind a server that does not wait for ever."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dass.tracking.registry import registered
from dass.tracking.scoring_app import STUDENT, ScoringApp
from dass.tracking.store import Store, import_quietly

if TYPE_CHECKING:
    import uvicorn

HEADER_SECONDS = 10.0  # until all headers of a request have come
CONNECTIONS = 256  # at once


def load_app(store: Store, uri: str, max_bytes: int) -> ScoringApp:
    """The application that answers with a registered model.

    Args:
        store: holds the model.
        uri: models:/NAME/VERSION or models:/NAME@ALIAS.
        max_bytes: a larger request is answered 413 before more than that of it has been read.

    Raises:
        UsageError: the address is not that of a registered model.
        DassError: the store failed.
    """
    import_quietly("mlflow.pyfunc.scoring_server")
    import mlflow

    version = registered(store, uri)
    mlflow.set_tracking_uri(store.uri)
    with store.errors(f"load {uri}"):
        model = mlflow.pyfunc.load_model(version.uri)
    if model.metadata.flavors["python_function"].get("loader_module") == STUDENT:
        # Of students filed by earlier versions: MLflow would cut fractions off before the student sees them.
        model.metadata.signature = None
    return ScoringApp(model, max_bytes)


def run_app(app: ScoringApp, host: str, port: int) -> None:
    """Answers POST /invocations, GET /ping, /health and /version until it is stopped.

    Args:
        app: answers.
        host: address to listen at.
        port: its port.
    """
    with suppress(KeyboardInterrupt):
        make_server(app, host, port).run()


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
