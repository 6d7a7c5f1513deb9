"""The process of MLflow's pages, started by `flows.ui`; it ends with the process that started it."""

import sys
from pathlib import Path

from dass.tracking.pages import pages_app
from dass.tracking.store import open_store
from flows.infrastructure.exits import exit_with_line
from flows.infrastructure.processes import end_with_parent
from flows.infrastructure.web import serve


def main() -> None:
    """Serves on a socket that was handed over; the arguments are its number and that of the process that did so."""
    end_with_parent(int(sys.argv[2]))
    with exit_with_line():
        serve(pages_app(open_store(Path.cwd())), int(sys.argv[1]))


if __name__ == "__main__":
    main()
