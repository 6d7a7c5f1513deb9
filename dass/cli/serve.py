"""`dass serve`: registered models over HTTP."""

from typing import Annotated

import typer

from dass.params_file import find_root

MEGABYTE = 1_000_000


def serve(
    models: Annotated[
        list[str],
        typer.Argument(help="models:/NAME/VERSION or models:/NAME@ALIAS, or OTHER=models:/... to serve it as OTHER."),
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen at. 0.0.0.0 means all addresses of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5001,
    max_megabytes: Annotated[
        float, typer.Option(min=0.001, help="Largest request. A larger one gets status 413.")
    ] = 16.0,
) -> None:
    """Answer images over HTTP with registered models, until Ctrl-C.

    One model answers at /invocations, each of several at /models/NAME/invocations; /metrics counts requests.

    Example: dass serve models:/dass-student-digits@champion --port 5001
    """
    from dass.tracking.serving import bind, load_app, run_app
    from dass.tracking.store import open_store

    app = load_app(open_store(find_root()), models, int(max_megabytes * MEGABYTE))
    listening = bind(host, port)
    address = f"[{host}]" if ":" in host else host
    for name, uri in zip(app.names, models, strict=True):
        path = "invocations" if len(models) == 1 else f"models/{name}/invocations"
        print(f"{uri} at http://{address}:{port}/{path}", flush=True)
    run_app(app, listening)
