"""`dass trace`: from a registered model back to the code and data that made it."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from dass.params_file import find_root


def trace(
    model: Annotated[str, typer.Argument(help="models:/NAME@ALIAS or models:/NAME/VERSION.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show version, run, git commit and data of a model, and the commands that restore that state.

    Example: dass trace models:/dass-student-digits@champion
    """
    from dass.tracking.store import open_store
    from dass.tracking.trace import trace as find_trace

    root = find_root()
    history = find_trace(open_store(root), model, root)
    if as_json:
        print(json.dumps(asdict(history), indent=2))
        return
    print(f"model    {history.model} version {history.version} ({', '.join(history.aliases) or 'no alias'})")
    print(f"run      {history.run_id} in experiment {history.experiment}")
    print(f"commit   {history.commit}{' with uncommitted changes' if history.dirty else ''}")
    for item in history.data:
        print(f"data     {item.md5}  {item.path}")
    for name, value in history.details:
        print(f"         {name}: {value}")
    print("to bring that state back:")
    for command in history.commands:
        print(f"  {command}")
