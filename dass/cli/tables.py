"""How the command line prints a table."""

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
