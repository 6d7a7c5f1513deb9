"""`dass search`: rank students for a dataset and a teacher, without any pipeline."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dass.cli.progress import progress_bar
from dass.cli.tables import print_table
from dass.device import resolve_device
from dass.errors import UsageError
from dass.files import file_sha256
from dass.predictor.checkpoint import load_predictor
from dass.search.candidates import MILLION, Budget
from dass.search.run import candidate_json, search_students
from dass.search.target_task import open_task


def search(
    data: Annotated[str, typer.Option(help="A dataset: its name or folder in data/raw, or a folder or zip of images.")],
    teacher: Annotated[Path, typer.Option(help="The teacher's weights: .safetensors, or .pt of tensors only.")],
    max_macs: Annotated[float | None, typer.Option(help="Millions of multiply-accumulates.", min=0)] = None,
    max_params: Annotated[float | None, typer.Option(help="Millions of parameters.", min=0)] = None,
    candidates: Annotated[int, typer.Option(help="Architectures to score at most.", min=1)] = 3000,
    top: Annotated[int, typer.Option(help="How many to show.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Of the sample.", min=0)] = 0,
    predictor: Annotated[Path, typer.Option(help="The meta-learned predictor.")] = Path(
        "data/predictor/predictor.safetensors"
    ),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Rank candidate students for a dataset and a trained teacher, within a budget.

    Example: dass search --data digits --teacher data/teachers/targets/digits/digits.safetensors --max-macs 4
    """
    place = resolve_device(device)
    if not predictor.exists():
        raise UsageError(f"there is no predictor at {predictor}: run `make repro`, or give --predictor")
    meta, card = load_predictor(predictor, place)
    task_at = open_task(
        data, teacher, raw=Path("data/raw"), resolution=card.resolution, largest=card.space.largest, device=place
    )
    with task_at as task:
        budget = Budget(max_macs, max_params)
        with progress_bar("score") as progress:
            found = search_students(
                meta, card, file_sha256(predictor)[:12], task.guide,
                budget=budget, count=candidates, seed=seed, progress=progress,
            )  # fmt: skip
    if as_json:
        head = {"target": found.target, "teacher_accuracy": found.teacher_accuracy, "candidates": len(found.ranking)}
        rows = [candidate_json(candidate) for candidate in found.ranking[:top]]
        print(json.dumps({**head, "seconds": found.seconds, "ranking": rows}))
        return
    table = Table(
        title=f"{found.target}: best of {len(found.ranking)} within {budget}; teacher {found.teacher_accuracy:.2f}%"
    )
    for column in ("place", "depths / widths", "predicted %", "M MACs", "M parameters", "arch_id"):
        table.add_column(column, justify="left" if column == "depths / widths" else "right")
    for position, candidate in enumerate(found.ranking[:top], start=1):
        table.add_row(
            str(position), candidate.architecture.stage_label, f"{candidate.predicted:.2f}",
            f"{candidate.cost.macs / MILLION:.3f}", f"{candidate.cost.parameters / MILLION:.4f}",
            candidate.architecture.arch_id,
        )  # fmt: skip
    print_table(table)
    print(f"{found.seconds:.1f} s, {1000 * found.seconds / len(found.ranking):.2f} ms per candidate")
