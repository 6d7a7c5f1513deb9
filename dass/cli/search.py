"""`dass search`: rank students for a dataset and a teacher, without any pipeline."""

import json
import sys
from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dass.cli.paths import own
from dass.cli.teacher_file import Classes, ExpectAccuracy, Layout, Normalization
from dass.errors import UsageError
from dass.params_file import in_project
from dass.project import LADDER_FILE, PREDICTOR_FILE, RAW

if TYPE_CHECKING:
    import torch
    from rich.table import Table

    from dass.search.candidates import Candidate
    from dass.search.run import SearchResult


def search(
    data: Annotated[str, typer.Option(help="A dataset: its name or folder in data/raw, or a folder or zip of images.")],
    teacher: Annotated[Path, typer.Option(help="The teacher's weights: any file with a state_dict.")],
    normalization: Normalization = None,
    classes: Classes = None,
    expect_accuracy: ExpectAccuracy = None,
    layout: Layout = None,
    max_macs: Annotated[
        str | None, typer.Option(help="Millions of multiply-accumulates, or a share of the teacher's: 40%.")
    ] = None,
    max_params: Annotated[str | None, typer.Option(help="Millions of parameters, or a share: 40%.")] = None,
    min_macs: Annotated[str | None, typer.Option(help="The least, likewise.")] = None,
    min_params: Annotated[str | None, typer.Option(help="The least, likewise.")] = None,
    method: Annotated[
        str,
        typer.Option(
            help="dass; ladder: slower, better, with intervals; race: students train and the better half go on, for "
            "any teacher, nothing learned is needed."
        ),
    ] = "dass",
    candidates: Annotated[int, typer.Option(help="Architectures to score at most.", min=1)] = 3000,
    starts: Annotated[
        int | None,
        typer.Option(help="ladder, race: how many are tried on one batch; as params.yaml says if left out.", min=1),
    ] = None,
    sprints: Annotated[
        int | None,
        typer.Option(help="ladder, race: how many take the first steps of distillation; likewise.", min=0),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="ladder, race: how long to search; as many train as fit, in place of --sprints.", min=1),
    ] = None,
    evolve: Annotated[
        bool | None, typer.Option(help="ladder: children of the best, not random candidates; likewise.")
    ] = None,
    front: Annotated[
        str | None, typer.Option(help="Show the Pareto front against macs, parameters or latency on the device.")
    ] = None,
    latency: Annotated[bool, typer.Option(help="Measure the shown ones' latency on the device.")] = False,
    top: Annotated[int, typer.Option(help="How many to show.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Of the sample.", min=0)] = 0,
    resolution: Annotated[
        int | None,
        typer.Option(
            help="race: side of the images in pixels, a multiple of 8. If left out: the family's.", min=16, max=256
        ),
    ] = None,
    predictor: Annotated[
        Path, typer.Option(help="dass: the meta-learned predictor.", callback=own(PREDICTOR_FILE))
    ] = PREDICTOR_FILE,
    ladder: Annotated[Path, typer.Option(help="ladder: the ladder.", callback=own(LADDER_FILE))] = LADDER_FILE,
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
    from dass.cli.progress import progress_bar
    from dass.cli.search_ways import by_dass, by_ladder, by_race, race_size
    from dass.cli.tables import print_table
    from dass.device import resolve_device
    from dass.search.candidates import Budget
    from dass.search.climb import Effort
    from dass.search.latency import measure_latency
    from dass.search.target_task import open_task
    from dass.space.cost import Cost
    from dass.training.user_teacher import TeacherFile
    from dass.training.workers import usual_count

    if method not in ("dass", "ladder", "race"):
        raise UsageError(f"--method {method}: there are dass, ladder and race")
    if front not in (None, "macs", "parameters", "latency"):
        raise UsageError(f"--front {front}: there are macs, parameters and latency")
    effort_options = {"--starts": starts, "--sprints": sprints, "--seconds": seconds, "--evolve": evolve}
    if method == "dass" and (given := [name for name, value in effort_options.items() if value is not None]):
        raise UsageError(f"{', '.join(given)}: not with --method dass, which looks at all candidates")
    if method == "race" and evolve is not None:
        raise UsageError("--evolve: only with --method ladder")
    if method != "race" and resolution is not None:
        raise UsageError("--resolution: only with --method race; a predictor works at the resolution it was learned at")
    limits = partial(Budget.of, max_macs, max_params, min_macs=min_macs, min_params=min_params)
    limits(Cost(1, 1, 1, 1))  # a limit that is none is refused before any work
    place = resolve_device(device)
    theirs = TeacherFile.of(
        teacher, normalization=normalization, classes=classes, expect_accuracy=expect_accuracy, layout=layout
    )
    common = {"seed": seed}
    if method == "race":
        takes_part = partial(race_size, starts=starts, sprints=sprints, seconds=seconds)
        way = by_race(theirs, place, resolution, takes_part, common)
    elif method == "ladder":
        effort = partial(
            Effort.of, candidates=candidates, seconds=seconds, starts=starts, sprints=sprints, evolve=evolve
        )
        way = by_ladder(ladder, place, workers or usual_count(place), effort, common)
    else:
        way = by_dass(predictor, place, candidates, common)
    task_at = open_task(
        data,
        theirs,
        raw=in_project(RAW),
        resolution=way.resolution,
        largest=way.space.largest,
        device=place,
        tell=_tell,
    )
    with task_at as task:
        with progress_bar("score") as progress:
            budget = limits(task.teacher_cost)
            found = way.rank(task, budget, progress)
        size = (task.data.resolution, len(task.data.classes), place)
        shown = _front(found, front, *size) if front else found.ranking[:top]
        times = [measure_latency(one.architecture, *size) for one in shown] if latency or front == "latency" else []
    if as_json:
        print(json.dumps(_fields(found, shown, times)))
        return
    which = f"Pareto front ({front})" if front else "best"
    title = f"{found.target}: {which} of {len(found.ranking)} within {budget}; teacher {found.teacher_accuracy:.2f}%"
    print_table(_table(title, shown, times))
    print(f"{found.seconds:.1f} s, {1000 * found.seconds / len(found.ranking):.2f} ms per candidate")


def _tell(line: str) -> None:
    """To stderr, since stdout is the ranking's."""
    print(line, file=sys.stderr)


def _front(
    found: "SearchResult", against: str, resolution: int, classes: int, place: "torch.device"
) -> Sequence["Candidate"]:
    """The Pareto front; against latency as block times add up, since not every candidate can be run."""
    from dass.search.latency import measure_parts
    from dass.search.pareto import pareto_front

    if against != "latency":
        return pareto_front(found.ranking, attrgetter(f"cost.{against}"))
    architectures = [candidate.architecture for candidate in found.ranking]
    parts = measure_parts(architectures, resolution, classes, place)
    return pareto_front(found.ranking, lambda candidate: parts.estimate(candidate.architecture))


def _fields(found: "SearchResult", shown: Sequence["Candidate"], times: Sequence[float]) -> dict[str, Any]:
    from dass.search.run import candidate_json

    head = {"target": found.target, "teacher_accuracy": found.teacher_accuracy, "candidates": len(found.ranking)}
    rows = [candidate_json(candidate) for candidate in shown]
    for one, time in zip(rows, times, strict=False):
        one["latency_ms"] = time
    return {**head, "seconds": found.seconds, "ranking": rows}


def _table(title: str, shown: Sequence["Candidate"], times: Sequence[float]) -> "Table":
    from rich.table import Table

    from dass.search.candidates import MILLION

    table = Table(title=title)
    climbed = any(candidate.rung for candidate in shown)
    intervals = any(candidate.low is not None for candidate in shown)
    accuracy = "predicted %" if intervals or not climbed else "held-out %"
    columns = ["place", "depths / widths", accuracy, *(["80% interval"] * intervals), *(["evidence"] * climbed)]
    for column in (*columns, "M MACs", "M parameters", *(["ms"] if times else []), "arch_id"):
        table.add_column(column, justify="left" if column == "depths / widths" else "right")
    for position, candidate in enumerate(shown, start=1):
        interval = [f"{candidate.low:.1f}-{candidate.high:.1f}"] if intervals else []
        interval += [candidate.rung] if climbed else []
        table.add_row(
            str(position), candidate.architecture.stage_label, f"{candidate.predicted:.2f}", *interval,
            f"{candidate.cost.macs / MILLION:.3f}", f"{candidate.cost.parameters / MILLION:.4f}",
            *([f"{times[position - 1]:.2f}"] if times else []), candidate.architecture.arch_id,
        )  # fmt: skip
    return table
