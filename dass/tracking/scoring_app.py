"""MLflow's scoring of one model over HTTP, behind limits on what a request may send, take and ask for.

Of MLflow's server only the scoring itself is used. Whatever a request makes it raise is the request's fault, since
nothing else changes between two of them, so the answer is a 4xx whose message is the reason and not what was sent.
"""

import asyncio
import io
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np

from dass.tracking.image_input import UnclearImagesError
from dass.tracking.image_request import TooMuchError, requested_images

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

LOG = logging.getLogger(__name__)
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = "application/json"
STUDENT = "dass.tracking.student_model"  # loads a distilled student
BODY_SECONDS = 30.0  # until all of a request has come, and until all of an answer has gone
TURNS = 2  # requests that are scored at once: each takes the memory of its parsed body
BODIES = 8  # times the limit of one, for the bodies of all requests together
DEPTH = 32  # of lists and objects within each other
# No whole number needs so many, and Python refuses to read some that have; base64 text may hold as many.
DIGITS = re.compile(rb"(?:^|[\[:,\s])-?[0-9]{500}")
BYTES_PER_LIST = 4  # on average at least; those of small architectures have five
BYTES_PER_PIXEL = 7  # of images, their lists of rows and images included
TEXTS = 16  # times the body, for an array that gives each of its texts the room of the longest
_REASON = 400  # characters of it that are told


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Attributes:
        status: of HTTP.
        body: of it.
        kind: its content type.
        last: whether the connection ends with it, since the request was not read to its end.
    """

    status: int
    body: bytes
    kind: str = JSON
    last: bool = False


class RefusedError(Exception):
    """A request that is answered with a reason.

    Args:
        status: of HTTP.
        reason: what was expected and found.
        last: see `Answer`.
    """

    def __init__(self, status: HTTPStatus, reason: str, *, last: bool = False) -> None:
        super().__init__(reason)
        value = {"error_code": status.name, "message": f"{reason:.{_REASON}}"}
        self.answer = Answer(status, json.dumps(value).encode(), last=last)


class ScoringApp:
    """An ASGI application that answers POST /invocations, GET /ping, /health and /version.

    Args:
        model: answers.
        max_bytes: of a request's body; a larger one is refused with 413 before more than that of it has been read.
    """

    def __init__(self, model: "PyFuncModel", max_bytes: int) -> None:
        self._model = model
        self._schema = model.metadata.get_input_schema()
        self._takes_images = model.metadata.flavors["python_function"].get("loader_module") == STUDENT
        self._max_bytes = max_bytes
        self._held = 0  # bytes of bodies that have come and are not scored yet
        self._turns = asyncio.Semaphore(TURNS)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request, as the ASGI protocol has it."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except RefusedError as error:
            answer = error.answer
        if answer is not None:
            await asyncio.wait_for(_send(answer, send), BODY_SECONDS)

    async def _answer(self, scope: Message, receive: Receive) -> Answer | None:
        """The answer; None where nobody waits for it any more."""
        from mlflow.version import VERSION

        pages = {"/ping": b"\n", "/health": b"\n", "/version": VERSION.encode()}
        path, method = scope["path"], scope["method"]
        allowed = {"POST"} if path == "/invocations" else {"GET", "HEAD"}
        if path != "/invocations" and path not in pages:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there are /invocations, /ping, /health and /version", last=True)
        if method not in allowed:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} takes {min(allowed)}", last=True)
        if path in pages:
            return Answer(HTTPStatus.OK, pages[path])
        self._check_headers(scope["headers"])
        body = bytearray()
        try:
            if not await asyncio.wait_for(self._read(receive, body), BODY_SECONDS):
                return None
            async with self._turns:
                return await asyncio.to_thread(self._score, bytes(body))
        except TimeoutError:
            reason = f"the request has not come within {BODY_SECONDS:g} s"
            raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, reason, last=True) from None
        finally:
            self._held -= len(body)

    def _check_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Refuses by what is announced, before anything is read."""
        given = {name: value.decode("latin-1").strip() for name, value in headers}
        kind, _, more = given.get(b"content-type", "").partition(";")
        charset = more.strip().lower().replace('"', "")
        if kind.strip().lower() != JSON or charset not in ("", "charset=utf-8"):
            reason = f"send Content-Type: {JSON} in UTF-8, found {given.get(b'content-type', 'none')!r:.80}"
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason, last=True)
        if given.get(b"content-encoding", "identity").lower() != "identity":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON that is not compressed", last=True)
        announced = given.get(b"content-length", "")
        if announced.isdigit() and (len(announced) > 18 or int(announced) > self._max_bytes):
            raise self._too_large()

    def _too_large(self) -> RefusedError:
        reason = f"the request is larger than {self._max_bytes} bytes: send fewer images at once"
        return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason, last=True)

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
                raise self._too_large()
            if self._held > BODIES * self._max_bytes:
                reason = "too many requests are under way: send it again later"
                raise RefusedError(HTTPStatus.TOO_MANY_REQUESTS, reason, last=True)
        return True

    def _score(self, body: bytes) -> Answer:
        """MLflow's answer to a body."""
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import scoring_server

        _check_json(body, BYTES_PER_PIXEL if self._takes_images else BYTES_PER_LIST)
        if not self._takes_images:
            _check_texts(body)
        try:
            if self._takes_images:
                return self._classified(body)
            scored = scoring_server.invocations(body, JSON, self._model, self._schema)
        except RefusedError:
            raise
        except MemoryError:
            raise self._too_large() from None
        except MlflowException as error:
            reason = str(error.message).rpartition("\nError: ")[2]  # what is before it is what was sent
            raise RefusedError(HTTPStatus.BAD_REQUEST, " ".join(reason.split())) from error
        except Exception as error:
            LOG.debug("refused", exc_info=error)
            reason = 'the request cannot be read: send {"inputs": [...]} as the model\'s card shows'
            raise RefusedError(HTTPStatus.BAD_REQUEST, reason) from error
        return Answer(scored.status, scored.response.encode(), scored.mimetype)

    def _classified(self, body: bytes) -> Answer:
        """A student's answer to images, without the copies of lists that MLflow makes of any input."""
        from mlflow.pyfunc import scoring_server

        try:
            images = requested_images(body)
        except UnclearImagesError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except TooMuchError as error:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
        answer = io.StringIO()
        scoring_server.predictions_to_json(self._model.predict(images), answer)
        return Answer(HTTPStatus.OK, answer.getvalue().encode())


def _check_json(body: bytes, bytes_per_list: int) -> None:
    """Refuses, at the price of one look, what would cost a parser its stack, minutes or gigabytes.

    Args:
        body: of the request.
        bytes_per_list: that its lists have on average at least.

    Raises:
        RefusedError: not UTF-8, too deep, numbers too long, or lists of next to nothing.
    """
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the request is not UTF-8, at byte {error.start}") from error
    if DIGITS.search(body):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the request holds a number of 500 digits or more")
    signs = np.frombuffer(body, dtype=np.uint8)
    opened = (signs == ord("[")) | (signs == ord("{"))
    steps = opened.astype(np.int8) - ((signs == ord("]")) | (signs == ord("}"))).astype(np.int8)
    if len(steps) and np.cumsum(steps, dtype=np.int32).max() > DEPTH:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the request has lists more than {DEPTH} deep within each other")
    if opened.sum() * bytes_per_list > len(body) + 1000:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the request has next to nothing but lists without numbers")


def _check_texts(body: bytes) -> None:
    """Refuses what numpy, which gives each text of an array the room of the longest, would make gigabytes of."""
    quotes = np.flatnonzero(np.frombuffer(body, dtype=np.uint8) == ord('"'))
    if len(quotes) > 1 and int(np.diff(quotes).max()) * (len(quotes) // 2) > TEXTS * len(body):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the request has many texts and one that is far longer")


async def _send(answer: Answer, send: Send) -> None:
    headers = [(b"content-type", answer.kind.encode()), (b"content-length", b"%d" % len(answer.body))]
    if answer.last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
