"""`dass predictors`: the learned predictors that come with the software."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dass.errors import DassError, UsageError

if TYPE_CHECKING:
    from dass.shipped.card import Kind, Release

predictors_app = typer.Typer(
    no_args_is_help=True,
    help="Learned predictors that come with DaSS.\n\nExample: dass predictors list",
)

Name = Annotated[str, typer.Argument(help="Name of a shipped predictor, or a folder that holds one.")]


@predictors_app.command("list")
def list_() -> None:
    """List the predictors that come with DaSS.

    Example: dass predictors list
    """
    from rich.table import Table

    from dass.cli.tables import print_table
    from dass.shipped.library import releases

    shipped = releases()
    if not shipped:
        print("no predictor comes with this version; `dass search --method race` needs none")
        return
    table = Table("name", "kind", "teachers", "pixels", "learned from", "mean SRC on targets", "what it is")
    for release in shipped:
        card = release.card
        teachers = "any" if card.general else ", ".join(card.families)
        learned = f"{card.students} students of {sum(one.tasks for one in card.sources)} tasks"
        src = f"{sum(one.src for one in card.targets) / len(card.targets):.2f}" if card.targets else "-"
        table.add_row(card.name, card.kind, teachers, str(card.resolution), learned, src, card.summary)
    print_table(table)


@predictors_app.command()
def show(name: Name) -> None:
    """Print the card of a predictor, as JSON.

    Example: dass predictors show small
    """
    from dataclasses import asdict

    print(json.dumps(asdict(_release(name).card), indent=2))


@predictors_app.command()
def verify(name: Annotated[str | None, typer.Argument(help="As for `show`. If left out: all.")] = None) -> None:
    """Compute the correlations of predictors again from the students that come with them. Exit code 1 if one differs.

    Example: dass predictors verify
    """
    from dass.shipped.library import releases
    from dass.shipped.verify import TOLERANCE
    from dass.shipped.verify import verify as check
    from dass.training.workers import Workers

    wrong = []
    with Workers(0) as workers:
        chosen = releases() if name is None else [_release(name)]
        if not chosen:
            print("no predictor comes with this version")
        for release in chosen:
            if name is None and not release.card.fixture:
                print(f"{release.card.name}: no fixture to verify it by")
                continue
            for result in check(release, workers):
                state = "holds" if result.holds else "differs"
                print(f"{release.card.name} {result.proxies}: {result.found:.3f}, card {result.expected:.3f}: {state}")
                if not result.holds:
                    wrong.append(f"{release.card.name} ({result.proxies})")
    if wrong:
        raise DassError(
            f"correlations differ from the cards' by more than {TOLERANCE}: {', '.join(wrong)}: features or packages "
            "have changed, so the predictors must be learned again"
        )


@predictors_app.command()
def use(name: Name) -> None:
    """Let `dass search` in this project use a predictor first, for the teachers that it fits.

    The predictor is copied to data/used_predictor. Delete that folder to use none. The predictors that the pipeline
    learns stay.

    Example: dass predictors use small
    """
    from dataclasses import replace

    from dass.params_file import in_project
    from dass.project import USED_PREDICTOR
    from dass.shipped.card import write_release

    release, path = _release(name), in_project(USED_PREDICTOR)
    write_release(path, release.weights, replace(release.card, fixture="", expected={}))
    print(f"{path}: predictor {release.card.name}")


@predictors_app.command()
def build(
    folder: Annotated[Path, typer.Argument(help="Folder of the release; its last part is the predictor's name.")],
    summary: Annotated[str, typer.Option(help="One sentence that says what the predictor is for.")],
    licence: Annotated[str, typer.Option(help="Licence of the weights, as the terms of the source images allow.")],
    kind: Annotated[str, typer.Option(help="Predictor of the project: multi_fidelity or dass.")] = "multi_fidelity",
    general: Annotated[bool, typer.Option(help="Offer it for any teacher, not only for this search space.")] = False,
    fixture: Annotated[str, typer.Option(help="Target whose students `verify` predicts again.")] = "",
    learn_with: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of another project to learn from too. Give the option again for more."),
    ] = None,
    measure_on: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of another project whose targets count too. Give the option again for more."),
    ] = None,
) -> None:
    """Make a release of the predictor that this project has learned, if it is good enough.

    The predictor is measured on the targets of this project and of other projects: mean correlation, and the share of
    students within their intervals. `--learn-with` learns from several projects, so that the predictor knows teachers
    of several families.

    Example: dass predictors build release/flowers --summary "ResNets for flowers" --licence CC-BY-4.0 --fixture digits
    """
    from dass.multi_fidelity.joining import join_files
    from dass.params_file import find_root
    from dass.project import Project
    from dass.scratch import scratch_folder
    from dass.shipped.build import build as build_release
    from dass.shipped.card import WEIGHTS
    from dass.shipped.from_project import learned_file, origin_of, targets_of
    from dass.tracking.lineage import lineage
    from dass.training.workers import Workers

    if kind not in ("multi_fidelity", "dass"):
        raise UsageError(f"--kind {kind}: there are multi_fidelity and dass")
    which: Kind = "dass" if kind == "dass" else "multi_fidelity"
    if which == "dass" and learn_with:
        raise UsageError("--learn-with joins multi-fidelity predictors; the paper's predictor learns from one project")
    sources = [Project.open(), *(Project.open(root) for root in learn_with or ())]
    origin = origin_of(
        sources, summary=summary, general=general, licence=licence, commit=lineage(find_root(), []).commit
    )
    measured = [sources[0], *(Project.open(root) for root in measure_on or ())]
    targets = [target for project in measured for target in targets_of(project)]
    with scratch_folder() as scratch, Workers(2) as workers:
        files = [learned_file(project, which) for project in sources]
        weights = files[0]
        if learn_with:
            weights = scratch / WEIGHTS
            join_files(files, weights)
        made = build_release(folder, which, weights, origin, targets, workers, fixture=fixture)
    for target in made.card.targets:
        inside = "" if target.covered is None else f", {100 * target.covered:.0f}% within 80% intervals"
        print(f"{target.target}: SRC {target.src:.2f} of {target.students} students{inside}")
    print(f"{made.folder}: predictor {made.card.name}")


@predictors_app.command()
def register(name: Name) -> None:
    """File a predictor as a version of the registered model `dass-predictor`, with its card.

    Example: dass predictors register small
    """
    from dass.params_file import find_root
    from dass.tracking.release_registration import register_release
    from dass.tracking.store import open_store

    version = register_release(open_store(find_root()), _release(name))
    print(f"{version.name} version {version.version}")


def _release(name: str) -> "Release":
    from dass.shipped.card import CARD, read_release
    from dass.shipped.library import find_release

    path = Path(name)
    return read_release(path) if (path / CARD).is_file() else find_release(name)
