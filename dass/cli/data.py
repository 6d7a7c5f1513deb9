"""`dass data`: bring datasets in, fetch them, list them and look at them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dass.cli.paths import project_default
from dass.errors import UsageError
from dass.params_file import in_project, load_params
from dass.project import RAW

if TYPE_CHECKING:
    from dass.datasets.catalogue import KnownDataset
    from dass.datasets.check import CheckReport
    from dass.datasets.packed import DatasetCard, PackedDataset

data_app = typer.Typer(
    help="Import, fetch, list and check datasets.\n\nExample: dass data check digits", no_args_is_help=True
)


Name = Annotated[str, typer.Argument(help="A name of `dass data list`, or a new name.", show_default=False)]
Resolution = Annotated[
    int | None,
    typer.Option(help="Side of the stored images in pixels.", show_default="data.resolution of params.yaml"),
]
Into = Annotated[Path, typer.Option(help="Folder of the packed datasets.", callback=project_default(RAW))]
DOWNLOADS = Path(".state/downloads")


@data_app.command("import")
def import_(
    name: Name,
    path: Annotated[
        Path | None, typer.Argument(help="Folder, .zip or .tar. None for glyphs and digits.", show_default=False)
    ] = None,
    resolution: Resolution = None,
    into: Into = RAW,
    inside: Annotated[str, typer.Option(help="Read only this folder of PATH.", show_default=False)] = "",
    labels: Annotated[
        str, typer.Option(help="Read the classes from this table in PATH, not from folders.", show_default=False)
    ] = "",
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out all images that do not decode.")
    ] = False,
    names: Annotated[
        str | None,
        typer.Option(help="Encoding of file names that are not UTF-8, such as cp932.", show_default="found out"),
    ] = None,
) -> None:
    """Read images and store them, packed, as INTO/NAME-RESOLUTION.

    Without --resolution it is stored at data.resolution of params.yaml and at each resolution that a target there has
    for it.

    A NAME that is not in `dass data list` means a dataset of your own: train/CLASS/* and test/CLASS/*, CLASS/* alone,
    or images with a table of labels.

    Example: dass data import tiny-imagenet tiny-imagenet-200.zip
    """
    from dass.cli.progress import progress_bar
    from dass.datasets.importing import ImportOptions, import_dataset

    options = ImportOptions(skip_broken=skip_broken, inside=inside, labels=labels, names=names)
    for side, folder in _places(name, resolution, into):
        with progress_bar(f"import {name}") as progress:
            packed = import_dataset(name, path, into, side, progress, options, folder=folder)
        _say(packed)


@data_app.command("download")
def download_(
    name: Annotated[str, typer.Argument(help="A name of `dass data list`.", show_default=False)],
    resolution: Resolution = None,
    into: Into = RAW,
    keep: Annotated[
        Path, typer.Option(help="Folder where the fetched archive stays.", callback=project_default(DOWNLOADS))
    ] = DOWNLOADS,
) -> None:
    """Fetch a dataset from its publisher, verify and import it. A broken transfer goes on from where it stopped.

    Example: dass data download dtd
    """
    from dass.cli.progress import progress_bar
    from dass.datasets.catalogue import find_dataset
    from dass.datasets.download import download
    from dass.datasets.importing import import_dataset

    dataset = find_dataset(name)
    if dataset is None:
        raise UsageError(f"no dataset {name!r} in the catalogue: `dass data list` shows which there are")
    if dataset.remote is None:
        if dataset.make is not None:
            raise UsageError(f"{name} needs no download: `dass data import {name}` makes it")
        raise UsageError(
            f"{name} cannot be fetched without you: get it at {dataset.page} and run "
            f"`dass data import {name} PATH`, where PATH is {dataset.give}"
        )
    places = _places(name, resolution, into)
    with progress_bar(f"download {name}") as progress:
        archive = download(dataset.remote, keep, progress)
    for side, folder in places:
        with progress_bar(f"import {name}") as progress:
            packed = import_dataset(name, archive, into, side, progress, folder=folder)
        _say(packed)


@data_app.command("thin")
def thin_(
    path: Annotated[Path, typer.Argument(help="Folder, .zip or .tar.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The .zip to write.", show_default=False)],
    per_folder: Annotated[int, typer.Option(help="Largest number of training images of a folder.", show_default=False)],
) -> None:
    """Write a smaller zip of the same layout, for a machine that gets little data.

    It keeps --per-folder images of each folder below `train`, evenly over their names, and all other files.

    Example: dass data thin tiny-imagenet-200.zip thin.zip --per-folder 60
    """
    from dass.datasets.thinning import thin

    written, there = thin(path, out, per_folder)
    print(f"{out}: {written:,} of {there:,} training images, {out.stat().st_size / 2**20:.1f} MiB")


@data_app.command("list")
def list_(into: Into = RAW) -> None:
    """Show known datasets with licences and citations, and the imported datasets.

    Example: dass data list
    """
    from dass.datasets.catalogue import all_datasets
    from dass.datasets.packed import open_packed

    for dataset in all_datasets():
        print(f"{dataset.name}: {dataset.title}\n  get it    {_way(dataset)}")
        print(f"  licence   {dataset.licence}\n  cite      {dataset.citation}\n")
    cards = [
        open_packed(path.parent).card
        for path in sorted([*into.glob("*/dataset.json"), *into.glob("*/at-*/dataset.json")])
    ]
    print(f"Imported into {into}: {len(cards)}")
    for card in cards:
        print(f"  {card.name} at {card.resolution}x{card.resolution}: {_counts(card)}; split: {card.split_rule}")


@data_app.command("check")
def check_(
    name: Name,
    resolution: Resolution = None,
    into: Into = RAW,
    sheet: Annotated[
        Path | None, typer.Option(help="Contact sheet (PNG).", show_default="reports/data/NAME-RESOLUTION.png")
    ] = None,
) -> None:
    """Verify an imported dataset, count its images, look for duplicates, and draw a contact sheet.

    Example: dass data check digits
    """
    from dass.datasets.check import check, contact_sheet
    from dass.datasets.packed import open_packed

    folder = into / f"{name}-{_resolution(resolution)}"
    packed = open_packed(folder)
    report = check(packed)
    _print_report(report)
    picture = sheet or in_project(Path("reports/data")) / f"{folder.name}.png"
    contact_sheet(packed, picture)
    print(f"contact sheet: {picture}")


def _places(name: str, asked: int | None, into: Path) -> list[tuple[int, Path | None]]:
    """At which resolutions a dataset is stored, and where if not as INTO/NAME-RESOLUTION; the working one first."""
    side = _resolution(asked)
    if asked is not None:
        return [(side, None)]
    further = load_params(in_project(Path("params.yaml"))).further_resolutions(name)
    return [(side, None), *((other, into / f"{name}-{side}" / f"at-{other}") for other in further)]


def _resolution(asked: int | None) -> int:
    if asked is not None:
        return asked
    params = in_project(Path("params.yaml"))
    if not params.exists():
        raise UsageError("no params.yaml here to take the resolution from: give --resolution")
    return load_params(params).data.resolution


def _way(dataset: "KnownDataset") -> str:
    if dataset.make is not None:
        return f"dass data import {dataset.name}"
    if dataset.remote is not None:
        return f"dass data download {dataset.name}"
    return f"at {dataset.page}, then dass data import {dataset.name} PATH; PATH is {dataset.give}"


def _counts(card: "DatasetCard") -> str:
    skipped = f", {len(card.skipped):,} skipped" if card.skipped else ""
    return f"{len(card.classes)} classes, {card.train_count:,} train and {card.test_count:,} test images{skipped}"


def _say(packed: "PackedDataset") -> None:
    card = packed.card
    print(f"{packed.folder}: {_counts(card)}; split: {card.split_rule}")
    for line in card.remarks:
        print(line)


def _print_report(report: "CheckReport") -> None:
    print(f"{report.name} at {report.resolution}x{report.resolution}; split: {report.split_rule}")
    print("   train    test  class")
    for count in report.counts:
        print(f"{count.train:8,}{count.test:8,}  {count.name}")
    print(f"in train and test: {len(report.duplicates)}")
    for duplicate in report.duplicates[:10]:
        print(
            f"  train {duplicate.train_index} ({duplicate.train_class}) = "
            f"test {duplicate.test_index} ({duplicate.test_class})"
        )
    print(f"repeated within train: {report.repeated_train}; within test: {report.repeated_test}")
    print(f"skipped on import, since they do not decode: {len(report.skipped)}")
    for image in report.skipped[:10]:
        print(f"  {image.part}: {image.name}: {image.reason}")
