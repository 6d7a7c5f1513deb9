"""`dass search`: rank students for a dataset and a teacher, without any pipeline."""

import json
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table

from dass.cli.progress import progress_bar
from dass.cli.tables import print_table
from dass.device import resolve_device
from dass.errors import UsageError
from dass.evidence.collector import Collector
from dass.evidence.store import EvidenceStore
from dass.files import file_sha256
from dass.ladder.checkpoint import check_fits, load_ladder
from dass.params_file import load_params
from dass.predictor.checkpoint import PredictorCard, load_predictor
from dass.predictor.embeddings import fixed_noise
from dass.search.candidates import MILLION, Budget, Candidate
from dass.search.climb import Effort, climb
from dass.search.latency import measure_latency, measure_parts
from dass.search.pareto import pareto_front
from dass.search.run import SearchResult, candidate_json, search_students
from dass.search.target_task import TargetTask, open_task
from dass.training.workers import Workers, usual_count


def search(
    data: Annotated[str, typer.Option(help="A dataset: its name or folder in data/raw, or a folder or zip of images.")],
    teacher: Annotated[Path, typer.Option(help="The teacher's weights: .safetensors, or .pt of tensors only.")],
    max_macs: Annotated[float | None, typer.Option(help="Millions of multiply-accumulates.", min=0)] = None,
    max_params: Annotated[float | None, typer.Option(help="Millions of parameters.", min=0)] = None,
    method: Annotated[str, typer.Option(help="dass, or ladder: slower, better, with intervals.")] = "dass",
    candidates: Annotated[int, typer.Option(help="Architectures to score at most.", min=1)] = 3000,
    starts: Annotated[
        int | None, typer.Option(help="ladder: how many are tried on one batch; 3000 if left out.", min=1)
    ] = None,
    sprints: Annotated[
        int | None,
        typer.Option(help="ladder: how many take the first steps of distillation; 48 if left out.", min=0),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="ladder: how long to search; as many sprint as fit, in place of --sprints.", min=1),
    ] = None,
    evolve: Annotated[bool | None, typer.Option(help="ladder: children of the best, not random candidates.")] = None,
    front: Annotated[
        str | None, typer.Option(help="Show the Pareto front against macs, parameters or latency on the device.")
    ] = None,
    latency: Annotated[bool, typer.Option(help="Measure the shown ones' latency on the device.")] = False,
    top: Annotated[int, typer.Option(help="How many to show.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Of the sample.", min=0)] = 0,
    predictor: Annotated[Path, typer.Option(help="The meta-learned predictor.")] = Path(
        "data/predictor/predictor.safetensors"
    ),
    ladder: Annotated[Path, typer.Option(help="The ladder.")] = Path("data/ladder/ladder.safetensors"),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", envvar="DASS_DEVICE")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(help="ladder: worker processes; one per core if left out.", min=1, envvar="DASS_WORKERS"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Rank candidate students for a dataset and a trained teacher, within a budget.

    Example: dass search --data digits --teacher data/teachers/targets/digits/digits.safetensors --max-macs 4
    """
    if method not in ("dass", "ladder"):
        raise UsageError(f"--method {method}: there are dass and ladder")
    if front not in (None, "macs", "parameters", "latency"):
        raise UsageError(f"--front {front}: there are macs, parameters and latency")
    effort_options = {"--starts": starts, "--sprints": sprints, "--seconds": seconds, "--evolve": evolve}
    if method != "ladder" and (given := [name for name, value in effort_options.items() if value is not None]):
        raise UsageError(f"{', '.join(given)}: only with --method ladder, dass looks at all candidates")
    place = resolve_device(device)
    for needed, name in ((predictor, "predictor"), *(((ladder, "ladder"),) if method == "ladder" else ())):
        if not needed.exists():
            raise UsageError(f"there is no {name} at {needed}: run `make repro`, or give --{name}")
    meta, card = load_predictor(predictor, place)
    task_at = open_task(
        data, teacher, raw=Path("data/raw"), resolution=card.resolution, largest=card.space.largest, device=place
    )
    with task_at as task:
        budget = Budget(max_macs, max_params)
        with progress_bar("score") as progress:
            if method == "ladder":
                starts = min(starts or 3000, candidates)
                sprints = min(48 if sprints is None else sprints, starts)
                effort = Effort(candidates, starts, sprints, bool(evolve), seconds)
                found = _climb(
                    ladder, task, card, place,
                    count=workers or usual_count(place), budget=budget, effort=effort, seed=seed, progress=progress,
                )  # fmt: skip
            else:
                found = search_students(
                    meta, card, file_sha256(predictor)[:12], task.guide,
                    budget=budget, count=candidates, seed=seed, progress=progress,
                )  # fmt: skip
        size = (task.data.resolution, len(task.data.classes), place)
        shown = _front(found, front, *size) if front else found.ranking[:top]
        times = [measure_latency(one.architecture, *size) for one in shown] if latency or front == "latency" else []
    if as_json:
        head = {"target": found.target, "teacher_accuracy": found.teacher_accuracy, "candidates": len(found.ranking)}
        rows = [candidate_json(candidate) for candidate in shown]
        for one, time in zip(rows, times, strict=False):
            one["latency_ms"] = time
        print(json.dumps({**head, "seconds": found.seconds, "ranking": rows}))
        return
    which = f"Pareto front ({front})" if front else "best"
    title = f"{found.target}: {which} of {len(found.ranking)} within {budget}; teacher {found.teacher_accuracy:.2f}%"
    print_table(_table(title, shown, times))
    print(f"{found.seconds:.1f} s, {1000 * found.seconds / len(found.ranking):.2f} ms per candidate")


def _climb(
    file: Path,
    task: TargetTask,
    card: PredictorCard,
    place: torch.device,
    *,
    count: int,
    budget: Budget,
    effort: Effort,
    seed: int,
    progress: Callable[[int, int], None],
) -> SearchResult:
    recipe = load_params(Path("params.yaml")).distillation
    ladder, learned = load_ladder(file)
    check_fits(learned, card.space, card.resolution, recipe, file)
    guide = task.guide
    guide.teacher.cpu()
    with Workers(count) as workers:
        collector = Collector(
            guide.teacher, task.data, fixed_noise(card.resolution, card.noise_seed), recipe, workers=workers,
            store=EvidenceStore(None), device=place,
        )  # fmt: skip
        return climb(
            ladder, file_sha256(file)[:12], collector, card.space, guide, test_images=len(task.data.test_labels),
            budget=budget, effort=effort, seed=seed, progress=progress,
        )  # fmt: skip


def _front(
    found: SearchResult, against: str, resolution: int, classes: int, place: torch.device
) -> Sequence[Candidate]:
    """The Pareto front; against latency as block times add up, since not every candidate can be run."""
    if against != "latency":
        return pareto_front(found.ranking, attrgetter(f"cost.{against}"))
    architectures = [candidate.architecture for candidate in found.ranking]
    parts = measure_parts(architectures, resolution, classes, place)
    return pareto_front(found.ranking, lambda candidate: parts.estimate(candidate.architecture))


def _table(title: str, shown: Sequence[Candidate], times: Sequence[float]) -> Table:
    table = Table(title=title)
    climbed = any(candidate.rung for candidate in shown)
    columns = ["place", "depths / widths", "predicted %", *(["80% interval", "evidence"] if climbed else [])]
    for column in (*columns, "M MACs", "M parameters", *(["ms"] if times else []), "arch_id"):
        table.add_column(column, justify="left" if column == "depths / widths" else "right")
    for position, candidate in enumerate(shown, start=1):
        interval = [f"{candidate.low:.1f}-{candidate.high:.1f}", candidate.rung] if climbed else []
        table.add_row(
            str(position), candidate.architecture.stage_label, f"{candidate.predicted:.2f}", *interval,
            f"{candidate.cost.macs / MILLION:.3f}", f"{candidate.cost.parameters / MILLION:.4f}",
            *([f"{times[position - 1]:.2f}"] if times else []), candidate.architecture.arch_id,
        )  # fmt: skip
    return table
