"""Stage `dataset`: one dataset, packed; made here or brought in before, verified and looked over."""

import sys

from prefect import flow

from dass.datasets.catalogue import find_dataset
from dass.datasets.check import check, contact_sheet
from dass.datasets.importing import import_dataset
from dass.datasets.packed import CARD, open_packed
from dass.errors import DassError, UsageError
from dass.project import Project
from dass.tracking.lineage import lineage
from dass.tracking.stage_runs import log_dataset
from dass.tracking.store import open_store
from flows.infrastructure.runtime import logger
from flows.infrastructure.stage import run_stage


@flow(name="dataset", flow_run_name="dataset-{name}")
def dataset(name: str) -> None:
    """Make a dataset that needs no download, or verify the one that was imported, and report on it."""
    project = Project.open()
    if name not in project.params.datasets:
        raise UsageError(f"params.yaml has no dataset {name!r}: it has {', '.join(project.params.datasets)}")
    for side in (project.params.data.resolution, *project.params.further_resolutions(name)):
        settle(project, name, side)


def settle(project: Project, name: str, side: int) -> None:
    """Make or verify a dataset at one resolution, and report on it."""
    folder = project.packed(name, side)
    dataset = find_dataset(name)
    if dataset is not None and dataset.make is not None:
        import_dataset(name, None, project.raw, side, folder=folder)
    elif not (folder / CARD).exists():
        raise DassError(
            f"dataset {name} is not here at {side} pixels: run "
            f"`dass data import {name} PATH` ({dataset.give if dataset else 'a folder or zip with train/CLASS/*'})"
        )
    packed = open_packed(folder)
    report = check(packed)
    sheet = project.reports / "datasets" / f"{name}{f'-{side}' if folder != project.packed(name) else ''}.png"
    contact_sheet(packed, sheet)
    card = packed.card
    logger().info(
        "%s: %d classes, %d training and %d test images, %d skipped, %d test images also in train",
        name,
        len(card.classes),
        card.train_count,
        card.test_count,
        len(card.skipped),
        len(report.duplicates),
    )
    log_dataset(
        open_store(project.root),
        lineage(project.root, [folder]),
        report=report,
        data_id=card.content,
        contact_sheet=sheet,
    )


if __name__ == "__main__":
    run_stage(dataset, *sys.argv[1:])
