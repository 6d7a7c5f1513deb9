"""MLflow's scoring of one model, behind limits on what a request's body may take and ask for.

Of MLflow's server only the scoring itself is used. Whatever a request makes it raise is the request's fault, since
nothing else changes between two of them, so the answer is a 4xx whose message is the reason and not what was sent.
"""

import io
import json
import logging
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import numpy as np

from dass.tracking.image_input import UnclearImagesError
from dass.tracking.image_request import TooMuchError, requested_images

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

LOG = logging.getLogger(__name__)

JSON = "application/json"
STUDENT = "dass.tracking.student_model"  # loads a distilled student
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
        status: status code of HTTP.
        body: body of the request, JSON in UTF-8.
        kind: content type of the answer.
        last: whether the connection ends with it, since the request was not read to its end.
    """

    status: int
    body: bytes
    kind: str = JSON
    last: bool = False


class RefusedError(Exception):
    """A request that is answered with a reason.

    Args:
        status: status code of HTTP.
        reason: expected and found values, in words.
        last: see `Answer`.
    """

    def __init__(self, status: HTTPStatus, reason: str, *, last: bool = False) -> None:
        super().__init__(reason)
        value = {"error_code": status.name, "message": f"{reason:.{_REASON}}"}
        self.answer = Answer(status, json.dumps(value).encode(), last=last)


def too_large(max_bytes: int) -> RefusedError:
    """The refusal of a request of more than so many bytes."""
    reason = f"the request is larger than {max_bytes} bytes: send fewer images at once"
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason, last=True)


class Scorer:
    """Answers the bodies of requests to one model.

    Args:
        model: model that answers.
        max_bytes: largest number of bytes of a body, for what a refusal says.
    """

    def __init__(self, model: "PyFuncModel", max_bytes: int) -> None:
        self._model = model
        self._schema = model.metadata.get_input_schema()
        self._takes_images = model.metadata.flavors["python_function"].get("loader_module") == STUDENT
        self._max_bytes = max_bytes

    def score(self, body: bytes) -> Answer:
        """MLflow's answer to a body.

        Raises:
            RefusedError: there is something wrong with it.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import scoring_server

        check_json(body, BYTES_PER_PIXEL if self._takes_images else BYTES_PER_LIST)
        if not self._takes_images:
            check_texts(body)
        try:
            if self._takes_images:
                return self._classified(body)
            scored = scoring_server.invocations(body, JSON, self._model, self._schema)
        except RefusedError:
            raise
        except MemoryError:
            raise too_large(self._max_bytes) from None
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


def check_json(body: bytes, bytes_per_list: int) -> None:
    """Refuses, at the price of one look, what would cost a parser its stack, minutes or gigabytes.

    Args:
        body: body of the request, JSON in UTF-8.
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


def check_texts(body: bytes) -> None:
    """Refuses what numpy, which gives each text of an array the room of the longest, would make gigabytes of.

    Args:
        body: body of the request, JSON in UTF-8.

    Raises:
        RefusedError: many texts and one that is far longer.
    """
    quotes = np.flatnonzero(np.frombuffer(body, dtype=np.uint8) == ord('"'))
    if len(quotes) > 1 and int(np.diff(quotes).max()) * (len(quotes) // 2) > TEXTS * len(body):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the request has many texts and one that is far longer")
