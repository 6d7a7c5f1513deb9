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
    found = find_trace(open_store(root), model, root)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    print(f"model    {found.model} version {found.version} ({', '.join(found.aliases) or 'no alias'})")
    print(f"run      {found.run_id} in experiment {found.experiment}")
    print(f"commit   {found.commit}{' with uncommitted changes' if found.dirty else ''}")
    for item in found.data:
        print(f"data     {item.md5}  {item.path}")
    for name, value in found.details:
        print(f"         {name}: {value}")
    print("to bring that state back:")
    for command in found.commands:
        print(f"  {command}")
