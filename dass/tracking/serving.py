"""A registered model over HTTP: MLflow's own scoring server behind a limit on what a request may send."""

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from dass.tracking.store import Store, import_quietly

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def serve_model(store: Store, uri: str, *, host: str, port: int, max_bytes: int) -> None:
    """Answers POST /invocations, GET /ping and /version until it is stopped.

    Args:
        store: holds the model.
        uri: models:/NAME/VERSION or models:/NAME@ALIAS.
        host: address to listen at.
        port: its port.
        max_bytes: a larger request is answered 413 before more than that of it has been read.

    Raises:
        DassError: the store failed or has no such model.
    """
    import_quietly("mlflow.pyfunc.scoring_server")
    import mlflow
    import uvicorn
    from mlflow.pyfunc import scoring_server

    mlflow.set_tracking_uri(store.uri)
    with store.errors(f"load {uri}"):
        model = mlflow.pyfunc.load_model(uri)
    uvicorn.run(BodyLimit(scoring_server.init(model), max_bytes), host=host, port=port, log_level="warning")


class BodyLimit:
    """An ASGI application that passes on requests up to a size and refuses larger ones with 413.

    Args:
        app: the application behind it.
        max_bytes: of a request's body.
    """

    def __init__(self, app: App, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one connection, as the ASGI protocol has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = None if _announced(scope) > self._max_bytes else await self._read(receive)
        if body is None:
            await self._refuse(send)
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The body; None as soon as it is found to be too large, whatever it was announced as."""
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                return None
        return bytes(body)

    async def _refuse(self, send: Send) -> None:
        told = f"the request is larger than {self._max_bytes} bytes: send fewer images at once".encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(told)), (b"connection", b"close")]
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": told})


def _announced(scope: Message) -> int:
    """Content-Length, 0 where there is none or it is no number."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0
