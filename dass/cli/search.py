"""`dass search`: rank students for a dataset and a teacher, without any pipeline."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from dass.cli.limit_options import KeepAccuracy, KeepProbability, LatencyBatch, MaxLatency, MaxMacs, MaxParams, MaxSize
from dass.cli.teacher_file import Classes, ExpectAccuracy, Layout, Normalization, SortChannels, asked_teacher
from dass.errors import UsageError
from dass.params_file import in_project
from dass.project import RAW


def search(
    data: Annotated[
        str, typer.Option(help="Name or folder of a dataset in data/raw, or a folder or archive of images.")
    ],
    teacher: Annotated[Path, typer.Option(help="File of the teacher's weights, with a state_dict.")],
    normalization: Normalization = None,
    classes: Classes = None,
    expect_accuracy: ExpectAccuracy = None,
    layout: Layout = None,
    sort_channels: SortChannels = None,
    max_macs: MaxMacs = None,
    max_params: MaxParams = None,
    min_macs: Annotated[str | None, typer.Option(help="Least multiply-accumulates, in the form of --max-macs.")] = None,
    min_params: Annotated[str | None, typer.Option(help="Least parameters, in the form of --max-params.")] = None,
    max_size: MaxSize = None,
    max_latency: MaxLatency = None,
    latency_batch: LatencyBatch = 1,
    keep_accuracy: KeepAccuracy = None,
    keep_probability: KeepProbability = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="multi_fidelity (better, slower, with intervals), dass (the paper's) or race (students train, half of "
            "them go on; for any teacher). If left out: search.method of params.yaml if it fits the teacher, else "
            "race."
        ),
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            help="Largest number of architectures to rank. If left out: 3000, or --one-batch for a race.", min=1
        ),
    ] = None,
    one_batch: Annotated[
        int | None,
        typer.Option(
            help="multi_fidelity, race: number of candidates measured on one batch. If left out: by params.yaml.", min=1
        ),
    ] = None,
    k_step: Annotated[
        int | None,
        typer.Option(
            help="multi_fidelity, race: number of candidates that train for some steps. If left out: by params.yaml. "
            "Not with --seconds.",
            min=0,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="multi_fidelity, race: seconds of the search. As many candidates train as fit.", min=1),
    ] = None,
    front: Annotated[
        str | None, typer.Option(help="Show the Pareto front of accuracy against macs, parameters or latency.")
    ] = None,
    latency: Annotated[bool, typer.Option(help="Measure the latency of the shown students on --device.")] = False,
    top: Annotated[int, typer.Option(help="Number of students to show.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Random seed of the candidates.", min=0)] = 0,
    resolution: Annotated[
        int | None,
        typer.Option(
            help="race, general predictors: side of the images in pixels, a multiple of 8. If left out: the family's.",
            min=16,
            max=256,
        ),
    ] = None,
    predictor: Annotated[
        str | None,
        typer.Option(
            help="Predictor to use: a name of `dass predictors list`, a file, a folder, or models:/NAME@ALIAS."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", envvar="DASS_DEVICE")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(help="Number of worker processes. If left out: one for each core.", min=1, envvar="DASS_WORKERS"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Rank students of a trained teacher on a dataset, within limits on cost. It needs no project.

    Example: dass search --data digits --teacher data/teachers/targets/digits/digits.safetensors --max-macs 4
    """
    from dass.cli.predictor_choice import choose_predictor
    from dass.cli.progress import progress_bar
    from dass.cli.search_methods import Asked, open_method
    from dass.cli.search_table import front_of, pick_lines, table_of, to_json
    from dass.cli.tables import print_table
    from dass.device import resolve_device
    from dass.search.budget import AskedBudget
    from dass.search.constraints import AskedLimits
    from dass.search.latency import measure_latency
    from dass.search.summary import slack_lines
    from dass.tasks.user import open_task
    from dass.training.workers import usual_count

    if front not in (None, "macs", "parameters", "latency"):
        raise UsageError(f"--front {front}: there are macs, parameters and latency")
    if method not in (None, "dass", "multi_fidelity", "race"):
        raise UsageError(f"--method {method}: there are dass, multi_fidelity and race")
    timed = latency or front == "latency"
    limits = AskedLimits(
        max_macs, max_params, min_macs, min_params, max_size, max_latency, latency_batch, keep_accuracy,
        keep_probability,
    )  # fmt: skip
    limits.check(timed=timed)  # before any work
    torch_device = resolve_device(device)
    theirs = asked_teacher(teacher, normalization, classes, expect_accuracy, layout, sort_channels).read()
    choice = choose_predictor(method, predictor, theirs, resolution)
    if choice.method == "race" and keep_accuracy is not None:
        raise UsageError(
            "--keep-accuracy: a race predicts nothing; take --method multi_fidelity, or `dass shrink`, which distils "
            "students until one keeps it"
        )
    asked = Asked(data, resolution, AskedBudget(candidates, one_batch, k_step, seconds), seed)
    ranker, side = open_method(choice, theirs, asked, device=torch_device, workers=workers or usual_count(torch_device))
    task_at = open_task(
        data, theirs, raw=in_project(RAW), resolution=side, largest=ranker.space.largest, device=torch_device,
        tell=_tell,
    )  # fmt: skip
    with task_at as task:
        constraints = limits.constraints(task.teacher_cost)
        for line in slack_lines(constraints, task, torch_device):
            _tell(line)
        with progress_bar("score") as progress:
            result = ranker.rank(task, constraints, progress)
        size = (task.data.resolution, len(task.data.classes), torch_device)
        shown = front_of(result, front, *size, batch=latency_batch) if front else result.ranking[:top]
        times = [measure_latency(one.architecture, *size, batch=latency_batch) for one in shown if timed]
    if as_json:
        print(json.dumps(to_json(result, shown, times, latency_batch) | {"method": choice.method, "why": choice.why}))
        return
    which = f"Pareto front ({front})" if front else "best"
    title = (
        f"{result.target}: {which} of {len(result.ranking)} within {constraints}; teacher "
        f"{result.teacher_accuracy:.2f}%"
    )
    print_table(table_of(title, result, shown, times, task, torch_device))
    print("\n".join(pick_lines(result)))
    if choice.why:
        print(choice.why)
    print(f"{result.seconds:.1f} s, {1000 * result.seconds / len(result.ranking):.2f} ms per candidate")


def _tell(line: str) -> None:
    """To stderr, since stdout is the ranking's."""
    print(line, file=sys.stderr)
