"""`dass report`: what the last evaluation found, as a table."""

from typing import Annotated, Any

import typer

from dass.errors import DassError, UsageError
from dass.files import read_json
from dass.project import Project


def report(as_json: Annotated[bool, typer.Option("--json", help="Print reports/metrics.json.")] = False) -> None:
    """Show rank correlation, teacher and distilled pick of every target, from reports/metrics.json.

    Example: dass report
    """
    project = Project.open()
    path = project.reports / "metrics.json"
    if not path.exists():
        raise UsageError(f"there is no {path}: run `make repro` first")
    if as_json:
        print(path.read_text(encoding="utf-8"), end="")
        return
    from rich.table import Table

    from dass.cli.tables import print_table

    table = Table(title=f"preset {project.params.preset}")
    for column in ("target", "teacher %", "picked student", "predicted %", "distilled %", "MACs", "parameters"):
        table.add_column(column, justify="left" if column in {"target", "picked student"} else "right")
    table.add_column("SRC of DaSS [interval], students", justify="right")
    try:
        for name, target in read_json(path)["targets"].items():
            table.add_row(name, *_cells(target))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DassError(f"{path} is no report ({error}): run `make repro` again") from error
    print_table(table)
    print("Tables and pictures: reports/. Runs and registered models: `make ui` (MLflow and Prefect pages).")


def _cells(target: dict[str, Any]) -> list[str]:
    src = "-"
    if "src" in target:
        src = f"{target['src']:.2f} [{target['src_low']:.2f}, {target['src_high']:.2f}], n={target['students']}"
    return [
        f"{target['teacher_accuracy']:.2f}",
        target["pick"],
        "-" if target["pick_predicted"] is None else f"{target['pick_predicted']:.2f}",
        f"{target['pick_accuracy']:.2f}",
        f"{target['pick_macs'] / 1e6:.2f} M",
        f"{target['pick_parameters'] / 1e3:.1f} k",
        src,
    ]
