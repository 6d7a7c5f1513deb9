"""`dass clean`: what grows in the project's hidden folders, and what of it may go."""

from typing import Annotated

import typer

from dass.errors import UsageError
from dass.params_file import find_root

MIB = 2**20


def clean(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing, only show what would be removed.")
    ] = False,
    days: Annotated[float, typer.Option(min=1, help="Days without use after which a file is removed.")] = 30,
) -> None:
    """Remove measurements, learned comparisons, downloads and logs that nobody has used for a month.

    DaSS can make all of these again. Records, runs, registered models and what DVC tracks stay.

    Example: dass clean --dry-run
    """
    from rich.table import Table

    from dass.cli.tables import print_table
    from dass.upkeep import measure_usage, remove

    root = find_root()
    if not (root / "params.yaml").is_file():
        raise UsageError(f"{root.resolve()} is no project: there is no params.yaml; only projects are cleaned")
    usages = measure_usage(root, days)
    table = Table()
    for column in ("folder", "holds", "MiB", "what keeps it small", "would go, MiB" if dry_run else "gone, MiB"):
        table.add_column(column, justify="right" if "MiB" in column else "left")
    for usage in usages:
        freed = usage.freed if dry_run else remove(usage)
        folder = usage.folder
        table.add_row(str(folder.path), folder.holds, f"{usage.size / MIB:.1f}", folder.goes, f"{freed / MIB:.1f}")
    print_table(table)
    if dry_run:
        for path in [path for usage in usages for path in usage.removable]:
            print(path)
