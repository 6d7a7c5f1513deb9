"""The process of the project's Prefect server, started by `flows.infrastructure.server`: API, pages and services.

It is one process that looks after itself, so that nothing is left behind however those end who use it: it ends when
nobody has used it for a minute (`DASS_IDLE_SECONDS`), or when the note in its folder no longer speaks of it.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from flows.infrastructure.server import read_note, retire
from flows.infrastructure.web import serve

IDLE_SECONDS = 60.0  # more than DVC takes between two stages, unless it hashes many files: then one more start
NOTE_SECONDS = 10  # whoever started this process has noted it by then
END_SECONDS = 10


def main() -> None:
    """Serves on the socket that was handed over; its number is the argument."""
    home, idle = Path(os.environ["PREFECT_HOME"]), float(os.environ.get("DASS_IDLE_SECONDS", IDLE_SECONDS))
    threading.Thread(target=_watch, args=(home, idle), daemon=True).start()
    from prefect.server.api.server import create_app

    serve(create_app(final=True), int(sys.argv[1]))


def _watch(home: Path, idle: float) -> None:
    used = noted = time.monotonic()
    while True:
        time.sleep(1)
        now, server = time.monotonic(), read_note(home)
        if server is not None and server.process.pid == os.getpid():
            noted = now
            if server.living_users:
                used = now
        if now - noted > NOTE_SECONDS or (now - used > idle and retire(home)):
            break
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_SECONDS)
    os._exit(1)  # whoever still holds a connection is gone too


if __name__ == "__main__":
    main()
