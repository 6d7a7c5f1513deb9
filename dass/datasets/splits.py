"""Class-wise splits of one packed dataset: the datasets of the source tasks."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dass.datasets.packed import PackedDataset, as_tensor, open_packed
from dass.datasets.task_data import TaskData
from dass.errors import DassError, UsageError
from dass.files import content_id, write_text
from dass.sealed import read_sealed, sealed


@dataclass(frozen=True)
class Split:
    """The dataset of one source task, as indices into a packed dataset's train part.

    Attributes:
        index: its number; splits 2i and 2i+1 share class group i with the halves swapped.
        dataset: name of the packed dataset.
        content: that dataset's content id, 12 hex digits.
        classes: its labels in the packed dataset, ascending; renumbered 0.. within the split.
        train: indices of the training half, ascending.
        test: indices of the test half, ascending.
    """

    index: int
    dataset: str
    content: str
    classes: tuple[int, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def name(self) -> str:
        """The task's name, such as "split3"."""
        return f"split{self.index}"


def make_splits(packed: PackedDataset, groups: int, classes_per_group: int | None, seed: int) -> list[Split]:
    """Cuts a dataset's train part into `2 * groups` splits; the official test part stays unused.

    The classes are shuffled and dealt into disjoint groups of equal size. The images of every class are shuffled and
    halved (so both halves hold each class equally, give or take one image): split 2i trains on half A of group i and
    is tested on half B, split 2i+1 the other way round.

    Args:
        packed: packed dataset that is cut into groups of classes.
        groups: number of class groups.
        classes_per_group: classes in each group; None for as many as there are.
        seed: chooses groups and halves; the same seed gives the same splits everywhere.

    Raises:
        UsageError: there are too few classes.
        DassError: a class has fewer than two training images.
    """
    count = len(packed.card.classes)
    size = count // groups if classes_per_group is None else classes_per_group
    if size < 2 or groups * size > count:
        raise UsageError(
            f"source: {groups} groups of {max(size, 2)} classes need {groups * max(size, 2)} classes but "
            f"{packed.card.name} has {count}: lower groups or classes_per_group"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    by_class = [np.flatnonzero(packed.train_labels == label) for label in range(count)]
    splits = []
    for group in range(groups):
        classes = np.sort(order[group * size : (group + 1) * size])
        halves: tuple[list[int], list[int]] = ([], [])
        for label in classes:
            images = rng.permutation(by_class[label])
            if len(images) < 2:
                raise DassError(
                    f"class {packed.card.classes[label]!r} of {packed.card.name} has {len(images)} training image(s): "
                    "two halves need at least 2; remove the class or add images"
                )
            halves[0].extend(images[: len(images) // 2].tolist())
            halves[1].extend(images[len(images) // 2 :].tolist())
        first, second = (tuple(sorted(half)) for half in halves)
        for index, train, test in ((2 * group, first, second), (2 * group + 1, second, first)):
            name, content = packed.card.name, packed.card.content
            splits.append(Split(index, name, content, tuple(classes.tolist()), train, test))
    return splits


def write_split(path: Path, split: Split) -> None:
    """Writes one split as a line of JSON, atomically."""
    write_text(path, json.dumps(sealed(asdict(split)), separators=(",", ":"), sort_keys=True) + "\n")


def read_split(path: Path) -> Split:
    """Reads what `write_split` wrote.

    Raises:
        DassError: the file is missing or is not a split.
    """
    value = read_sealed(path, "restore it with `dvc checkout` or run the splits stage again")
    try:
        lists = {key: tuple(value[key]) for key in ("classes", "train", "test")}
        return Split(**{**value, **lists})
    except (TypeError, KeyError) as error:
        raise DassError(f"{path} is not a split ({error}): run the splits stage again") from error


def load_split(folder: Path, split: Split) -> TaskData:
    """Copies a split's images out of the packed dataset in `folder` (half a group each, not the whole dataset).

    Raises:
        DassError: the dataset is damaged, or is not the one that the split was made from.
    """
    import torch

    packed = open_packed(folder, verified=True)
    if packed.card.content != split.content:
        raise DassError(
            f"{split.name} was made from {split.dataset} with content {split.content} but {folder} holds "
            f"{packed.card.content}: run the splits stage again"
        )
    train, test = np.array(split.train, dtype=np.int64), np.array(split.test, dtype=np.int64)
    chosen = hashlib.sha256(train.tobytes() + b"|" + test.tobytes()).hexdigest()
    return TaskData(
        name=split.name,
        classes=tuple(packed.card.classes[label] for label in split.classes),
        train_images=as_tensor(packed.train_images[train]),
        train_labels=torch.from_numpy(np.searchsorted(split.classes, packed.train_labels[train])),
        test_images=as_tensor(packed.train_images[test]),
        test_labels=torch.from_numpy(np.searchsorted(split.classes, packed.train_labels[test])),
        data_id=content_id({"dataset": split.content, "classes": split.classes, "indices": chosen}),
    )
