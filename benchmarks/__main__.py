"""Runs all benchmarks: `python -m benchmarks [--quick] [--only NAME] [--json FILE] [--markdown FILE] [--into FILE]`."""

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.report import BenchmarkRow, print_rows, write_page, write_rows, write_section
from dass.device import device_name, resolve_device


class Benchmark(StrEnum):
    """The modules beside this one that have a `run(quick)`."""

    SCORING = "scoring"
    DISTILLING = "distilling"
    META_TRAINING = "meta_training"
    PROXIES = "proxies"
    FAMILIES = "families"
    LOADING = "loading"
    SERVING = "serving"
    WORKERS = "workers"


def main(
    quick: Annotated[bool, typer.Option(help="Smaller sizes and fewer rounds: a check that all of it runs.")] = False,
    only: Annotated[list[Benchmark] | None, typer.Option(help="Just this one; may be repeated.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the rows to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write a page with the rows.")] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Also write the rows of --only into this page, in place of what it had of them."),
    ] = None,
) -> None:
    """Times the naive way, ours, and the device's floor side by side. Example: python -m benchmarks --only scoring."""
    if into and not only:
        raise typer.BadParameter("--into is for the benchmarks that --only names; --markdown writes a whole page")
    device = resolve_device()
    conditions = f"device: {device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}, seed 0"
    typer.echo(conditions)
    rows: list[BenchmarkRow] = []
    for benchmark in only or list(Benchmark):
        rows += import_module(f"benchmarks.{benchmark}").run(quick)
    print_rows(rows)
    if json:
        write_rows(rows, json)
    if markdown:
        write_page(rows, markdown, conditions=conditions)
    if into:
        write_section(rows, into, name=" and ".join(only or []), conditions=conditions)


if __name__ == "__main__":
    typer.run(main)
