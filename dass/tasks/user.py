"""Tasks that a user brings: a dataset and a teacher, opened for as long as a search lasts."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dass.datasets.archives.opening import ENDINGS
from dass.datasets.catalogue import find_dataset
from dass.datasets.importing import ImportOptions, import_dataset
from dass.datasets.packed import CARD, load_target, open_packed
from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.networks.file_kind import file_kind
from dass.scratch import scratch_folder
from dass.space.architecture import Architecture
from dass.tasks.task import Task
from dass.training.user_teacher import TeacherFile, bring_in_teacher


@contextmanager
def open_task(
    dataset: str,
    teacher: TeacherFile,
    *,
    raw: Path,
    resolution: int,
    device: torch.device,
    largest: Architecture | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[Task]:
    """Opens dataset and teacher for as long as a search lasts.

    Args:
        dataset: name or folder of a packed dataset; or a folder, zip or tar of images, which are packed for the
            occasion.
        teacher: its weights, and what they cannot tell.
        raw: folder of the packed datasets.
        resolution: side of the images in pixels that the predictor works at.
        device: device that the teacher is put on.
        largest: the architecture that the teacher must have; None for any of a supported family.
        tell: called with each line that the user should know of images that are packed for the occasion.

    Raises:
        UsageError: there is no such dataset or teacher, or the dataset is packed at another resolution.
        DassError: one of them is damaged, or they do not belong together.
    """
    file_kind(teacher.path)  # before images are packed
    with open_user_data(dataset, raw, resolution, tell) as data:
        network, card = bring_in_teacher(teacher, data, device, largest=largest)
        yield Task(data, network, card, packed=_packed_folder(dataset, raw, resolution))


@contextmanager
def open_user_data(
    dataset: str, raw: Path, resolution: int, tell: Callable[[str], None] = lambda line: None
) -> Iterator[TaskData]:
    """A packed dataset by name or folder, or images packed for the occasion; arguments as in `open_task`.

    Raises:
        UsageError: there is no such dataset, or it is packed at another resolution.
        DassError: it is damaged.
    """
    packed, path = _packed_folder(dataset, raw, resolution), Path(dataset)
    if packed is not None:
        data = load_target(packed)
        if data.resolution != resolution:
            raise UsageError(f"{packed} is packed at {data.resolution} pixels, and {resolution} are needed")
        yield data
    elif _there(path):
        name = task_name(path)
        options = ImportOptions(broken_list=raw / f"{name}-{resolution}-broken.txt")
        with scratch_folder() as scratch:
            made = import_dataset(name, path, scratch, resolution, options=options)
            for line in made.card.remarks:
                tell(line)
            yield load_target(made.folder)
    else:
        named = raw / f"{dataset}-{resolution}"
        sides = " and ".join(map(str, _packed_sides(dataset, raw)))
        also = f"; it is packed at {sides} pixels" if sides else ""
        raise UsageError(f"{dataset}: neither a packed dataset ({named}) nor a folder or zip of images{also}")


def packed_side(dataset: str, raw: Path, usual: int) -> int:
    """The side in pixels at which a dataset is there: the usual one, unless it is packed at another alone.

    Args:
        dataset: dataset, as in `open_task`.
        raw: folder of the packed datasets.
        usual: that of the teacher's family, or whatever else is usual.

    Raises:
        UsageError: it is packed at several others.
    """
    if (folder := _packed_folder(dataset, raw, usual)) is not None:
        return open_packed(folder, verified=True).card.resolution
    sides = _packed_sides(dataset, raw)
    if len(sides) > 1:
        raise UsageError(
            f"{dataset} is packed at {' and '.join(map(str, sides))} pixels, not at {usual}: say which by --resolution"
        )
    return sides[0] if sides and not _there(Path(dataset)) else usual


def _packed_sides(dataset: str, raw: Path) -> list[int]:
    """The sides at which a dataset of a name is packed, ascending."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", dataset):
        return []
    ends = (folder.name[len(dataset) + 1 :] for folder in raw.glob(f"{dataset}-*") if _there(folder / CARD))
    return sorted(int(end) for end in ends if end.isdecimal())


def _packed_folder(dataset: str, raw: Path, resolution: int) -> Path | None:
    folders = (raw / f"{dataset}-{resolution}", Path(dataset))
    return next((folder for folder in folders if _there(folder / CARD)), None)


def _there(path: Path) -> bool:
    """Whether something is at a path; a name that nothing can have is the name of nothing."""
    try:
        return path.exists()
    except OSError:
        return False


def task_name(path: Path) -> str:
    """The name of a task whose images are at `path`: what the path ends in, as a name of the catalogue may be."""
    stem = path.resolve().name.lower()
    stem = stem.removesuffix(max((ending for ending in ENDINGS if stem.endswith(ending)), key=len, default=""))
    name = re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:50] or "images"
    dataset = find_dataset(name)
    return f"my-{name}" if dataset is not None and dataset.make is not None else name
