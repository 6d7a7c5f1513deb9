"""How the command line prints a table."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table


def print_table(table: Table) -> None:
    """Prints a table without losing anything: cells are text, not markup; narrow ones wrap, and a pipe has no width."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 1000
    for column in table.columns:
        column.overflow = "fold"
    console.print(table)


def table_of_rows(title: str, rows: Sequence[Mapping[str, str]]) -> Table:
    """A table of rows with equal columns; numbers stand on the right.

    Args:
        title: title above the table.
        rows: rows of the table, at least one: cells by column.
    """
    table = Table(title=title)
    for column, cell in rows[0].items():
        table.add_column(column, justify="right" if cell[:1].isdigit() and "/" not in cell else "left")
    for row in rows:
        table.add_row(*row.values())
    return table
