"""How a command of this project ends: in one line and a code, whatever stopped it. Knows nothing of Prefect."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dass.errors import DassError, UsageError

KEPT = "what was finished is kept, the same command goes on from there"


class StoppedError(BaseException):
    """This process was told to stop; no handler of failures shall catch it."""


@contextmanager
def exit_with_line() -> Iterator[None]:
    """Turns a `DassError` into its line on stderr and an exit code: 2 for wrong use, else 1.

    So too a stop: 143 after SIGTERM, 130 after Ctrl-C.
    """
    try:
        yield
    except DassError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except (KeyboardInterrupt, StoppedError) as error:
        print(f"stopped: {KEPT}", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(error, StoppedError) else signal.SIGINT))


def raise_when_terminated() -> None:
    """Has SIGTERM raise `StoppedError` in this process, which `exit_with_line` tells of; a second one is not heard."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # another one would break off the tidying up
    raise StoppedError


def when_stopped(leave: Callable[[int], None]) -> None:
    """Has a function called, with the signal's number, when this process is told to stop or its terminal is closed.

    It is called once: a closed terminal tells twice, and the second time would end the tidying up. What is ignored,
    as `nohup` has it, stays so.
    """
    stops = [stop for stop in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(stop) is not signal.SIG_IGN]

    def told(number: int, _: object) -> None:
        for stop in stops:
            signal.signal(stop, signal.SIG_IGN)
        leave(number)

    for stop in stops:
        signal.signal(stop, told)
