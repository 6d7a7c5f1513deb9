"""Models over HTTP: which path is whose, limits on what requests may send and take together, and counters of them."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dass.tracking.request_counters import PROMETHEUS, RequestCounters
from dass.tracking.scorer import JSON, Answer, RefusedError, Scorer, too_large

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_SECONDS = 30.0  # until all of a request has come, and until all of an answer has gone
TURNS = 2  # requests that are scored at once: each takes the memory of its parsed body
BODIES = 8  # times the limit of one, for the bodies of all requests together
ONE = re.compile("/models/([^/]+)/invocations")


class ScoringApp:
    """An ASGI application for some models.

    It answers POST /models/NAME/invocations, and /invocations where there is one model; GET /models (their names),
    /metrics (counters in Prometheus' text form), /ping, /health and /version.

    Args:
        models: models, by name.
        max_bytes: of a request's body; a larger one is refused with 413 before more than that of it has been read.
    """

    def __init__(self, models: "Mapping[str, PyFuncModel]", max_bytes: int) -> None:
        self._scorers = {name: Scorer(model, max_bytes) for name, model in models.items()}
        self._max_bytes = max_bytes
        self._held = 0  # bytes of bodies that have come and are not scored yet
        self._turns = asyncio.Semaphore(TURNS)
        self._counters = RequestCounters(self._scorers)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the models, in their order."""
        return tuple(self._scorers)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request, as the ASGI protocol has it."""
        if scope["type"] != "http":
            return
        since, name = time.perf_counter(), self._asked(scope["path"])
        try:
            answer = await self._answer(scope, receive, name)
        except RefusedError as error:
            answer = error.answer
        if name is not None:
            self._counters.count(name, answer.status if answer else None, time.perf_counter() - since)
        if answer is not None:
            await asyncio.wait_for(_send(answer, send), BODY_SECONDS)

    def _asked(self, path: str) -> str | None:
        """The model that a path is about; None for another page."""
        if path == "/invocations" and len(self._scorers) == 1:
            return next(iter(self._scorers))
        match = ONE.fullmatch(path)
        return match[1] if match and match[1] in self._scorers else None

    async def _answer(self, scope: Message, receive: Receive, name: str | None) -> Answer | None:
        """The answer; None where nobody waits for it any more."""
        path, method = scope["path"], scope["method"]
        page = self._page(path) if name is None else None
        allowed = {"GET", "HEAD"} if name is None else {"POST"}
        if method not in allowed:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} takes {min(allowed)}", last=True)
        if name is None:
            return page
        self._check_headers(scope["headers"])
        body = bytearray()
        try:
            if not await asyncio.wait_for(self._read(receive, body), BODY_SECONDS):
                return None
            async with self._turns:
                return await asyncio.to_thread(self._scorers[name].score, bytes(body))
        except TimeoutError:
            reason = f"the request has not come within {BODY_SECONDS:g} s"
            raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, reason, last=True) from None
        finally:
            self._held -= len(body)

    def _page(self, path: str) -> Answer:
        """A page that is no model's."""
        from mlflow.version import VERSION

        if path in ("/ping", "/health"):
            return Answer(HTTPStatus.OK, b"\n")
        if path == "/version":
            return Answer(HTTPStatus.OK, VERSION.encode())
        if path == "/models":
            return Answer(HTTPStatus.OK, json.dumps({"models": list(self._scorers)}).encode())
        if path == "/metrics":
            return Answer(HTTPStatus.OK, self._counters.text(), PROMETHEUS)
        one = "/models/NAME/invocations" if len(self._scorers) > 1 else "/invocations"
        reason = f"there are {one} (NAME: {', '.join(self._scorers)}), /models, /metrics, /ping, /health and /version"
        raise RefusedError(HTTPStatus.NOT_FOUND, reason, last=True)

    def _check_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Refuses by what is announced, before anything is read."""
        values = {name: value.decode("latin-1").strip() for name, value in headers}
        kind, _, more = values.get(b"content-type", "").partition(";")
        charset = more.strip().lower().replace('"', "")
        if kind.strip().lower() != JSON or charset not in ("", "charset=utf-8"):
            reason = f"send Content-Type: {JSON} in UTF-8, found {values.get(b'content-type', 'none')!r:.80}"
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason, last=True)
        if values.get(b"content-encoding", "identity").lower() != "identity":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON that is not compressed", last=True)
        announced = values.get(b"content-length", "")
        if announced.isdigit() and (len(announced) > 18 or int(announced) > self._max_bytes):
            raise too_large(self._max_bytes)

    async def _read(self, receive: Receive, body: bytearray) -> bool:
        """Fills `body` as it comes; False where the client has gone."""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            part = message.get("body", b"")
            body += part
            self._held += len(part)
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                raise too_large(self._max_bytes)
            if self._held > BODIES * self._max_bytes:
                reason = "too many requests are under way: send it again later"
                raise RefusedError(HTTPStatus.TOO_MANY_REQUESTS, reason, last=True)
        return True


async def _send(answer: Answer, send: Send) -> None:
    headers = [(b"content-type", answer.kind.encode()), (b"content-length", b"%d" % len(answer.body))]
    if answer.last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
