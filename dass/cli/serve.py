"""`dass serve`: a registered model over HTTP."""

from typing import Annotated

import typer

from dass.params_file import find_root

MEGABYTE = 1_000_000


def serve(
    model: Annotated[str, typer.Argument(help="models:/NAME/VERSION or models:/NAME@ALIAS.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all of this machine's.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5001,
    max_megabytes: Annotated[float, typer.Option(min=0.001, help="A larger request is refused with 413.")] = 16.0,
) -> None:
    """Answer images over HTTP with a registered model, until Ctrl-C; requests have a size limit.

    Example: dass serve models:/dass-student-digits@champion --port 5001
    """
    from dass.tracking.serving import load_app, run_app
    from dass.tracking.store import open_store

    app = load_app(open_store(find_root()), model, int(max_megabytes * MEGABYTE))
    print(f"{model} at http://{host}:{port}/invocations", flush=True)
    run_app(app, host, port)
