"""Stage `splits`: class groups and halves of the source dataset, as small index files."""

from prefect import flow

from dass.datasets.packed import open_packed
from dass.datasets.splits import make_splits, write_split
from dass.project import Project
from flows.infrastructure.runtime import logger
from flows.infrastructure.stage import run_stage


@flow(name="splits")
def splits() -> None:
    """Cut the source dataset into the source tasks of params.yaml."""
    project = Project.open()
    source = project.params.source
    packed = open_packed(project.packed(source.dataset), verified=True)
    made = make_splits(packed, source.groups, source.classes_per_group, project.params.seed)
    for index in source.splits:
        write_split(project.splits / f"{made[index].name}.json", made[index])
    first = made[source.splits[0]]
    logger().info(
        "%d splits of %d classes, %d training and %d test images each",
        len(source.splits), len(first.classes), len(first.train), len(first.test),
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(splits)
