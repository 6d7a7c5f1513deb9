"""A packed dataset: one folder of uint8 images at the working resolution, opened by memory map."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.files import content_id, file_sha256
from dass.sealed import read_sealed

if TYPE_CHECKING:
    from torch import Tensor

CARD = "dataset.json"
AGAIN = "run `dvc checkout` or import it again"
_SHOWN = 30  # class names in a line
_PATIENCE = 2.0  # seconds to wait for one folder to take the place of another


@dataclass(frozen=True)
class SkippedImage:
    """An image that could not be decoded.

    Attributes:
        part: part that it belonged to.
        name: its path inside the archive or folder.
        reason: reason that the decoder gave.
    """

    part: Literal["train", "test"]
    name: str
    reason: str


@dataclass(frozen=True)
class FileHashes:
    """SHA-256 (hex) of each array file, named as the file is without `.npy`."""

    train_images: str
    train_labels: str
    test_images: str
    test_labels: str


@dataclass(frozen=True)
class DatasetCard:
    """What `dataset.json` says of a packed dataset.

    Attributes:
        name: catalogue name, or the user's own.
        classes: class names, in label order.
        resolution: side of the square images, in pixels.
        source: file or folder name that was imported.
        resize_rule: rule that made an image a square of that resolution.
        split_rule: rule that divided training and test images.
        train_count: images of the train part.
        test_count: images of the test part.
        skipped: images left out because they do not decode.
        sha256: hashes of the four array files.
        passed_over: files of the source that are not used, by their ending, and how many of each.
        notes: notes for the user on how the source was read.
    """

    name: str
    classes: tuple[str, ...]
    resolution: int
    source: str
    resize_rule: str
    split_rule: str
    train_count: int
    test_count: int
    skipped: tuple[SkippedImage, ...]
    sha256: FileHashes
    passed_over: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """12 hex digits of everything that a training run could see of the dataset."""
        return content_id({"classes": self.classes, "sha256": asdict(self.sha256)})

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know of how the source was read, in lines: classes, notes, and what was left out."""
        more = f" and {len(self.classes) - _SHOWN:,} more" if len(self.classes) > _SHOWN else ""
        lines = [f"classes: {', '.join(self.classes[:_SHOWN])}{more}", *self.notes]
        if self.passed_over:
            counts = ", ".join(f"{count:,} {what}" for what, count in self.passed_over.items())
            lines.append(f"files passed over: {counts}")
        if self.skipped:
            first = self.skipped[0]
            lines.append(f"{len(self.skipped):,} image(s) do not decode, the first is {first.name} ({first.reason})")
        return tuple(lines)

    def to_json(self) -> dict[str, Any]:
        """A JSON value from which `from_json` makes an equal card; what is empty of the last two is left out."""
        value = asdict(self)
        return {key: part for key, part in value.items() if part or key not in ("passed_over", "notes")}

    @classmethod
    def from_json(cls, value: Any) -> "DatasetCard":
        """Reads a card.

        Raises:
            ValueError: a key is missing, unknown or of the wrong type.
        """
        try:
            card = cls(
                **{
                    **value,
                    "classes": tuple(value["classes"]),
                    "skipped": tuple(SkippedImage(**image) for image in value["skipped"]),
                    "sha256": FileHashes(**value["sha256"]),
                    "passed_over": {str(ending): int(count) for ending, count in value.get("passed_over", {}).items()},
                    "notes": tuple(value.get("notes", ())),
                }
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"bad key {error}") from error
        counts = (card.resolution, card.train_count, card.test_count)
        if not all(isinstance(count, int) and count > 0 for count in counts):
            raise ValueError("resolution and counts must be positive integers")
        return card


@dataclass(frozen=True)
class PackedDataset:
    """An opened packed dataset; the images stay on disk until they are touched.

    Attributes:
        folder: folder that holds it.
        card: card that describes it.
        train_images: uint8 [n, h, w, 3], copy-on-write memory map.
        train_labels: class of each training image, int64 [n].
        test_images: uint8 [m, h, w, 3], copy-on-write memory map.
        test_labels: class of each test image, int64 [m].
    """

    folder: Path
    card: DatasetCard
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def verify(self) -> None:
        """Compares every byte with the recorded hashes; a file that has not changed is read once in a process.

        Raises:
            DassError: a file is not what was packed.
        """
        for array in fields(FileHashes):
            path = self.folder / f"{array.name}.npy"
            state = path.stat()
            digest = _sha256(path.resolve(), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
            if digest != getattr(self.card.sha256, array.name):
                raise DassError(f"{path} is not what was packed (SHA-256 differs): {AGAIN}")


@lru_cache(maxsize=256)
def _sha256(path: Path, *_state: int) -> str:
    return file_sha256(path)


def open_packed(folder: Path, *, verified: bool = False) -> PackedDataset:
    """Opens a packed dataset by memory map and checks that its files belong together.

    While the dataset is imported again, what is opened is the old one or the new one, whole.

    Args:
        folder: folder that holds it.
        verified: compare every byte too, as `PackedDataset.verify` does.

    Raises:
        DassError: a file is missing, damaged or does not fit `dataset.json`.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        before = _identity(folder)
        try:
            packed = _open(folder)
            if verified:
                packed.verify()
        except (DassError, FileNotFoundError):
            # A repeated import takes the old folder away and puts the new one in its place.
            settled = not _is_being_replaced(folder) and _identity(folder) == before  # in this order
            if settled or time.monotonic() > deadline:
                raise
        else:
            if _identity(folder) == before:
                return packed
        time.sleep(0.001)


def _is_being_replaced(folder: Path) -> bool:
    """Whether a repeated import is about to put a new folder into this place."""
    return not folder.exists() and old_place(folder).exists()


def old_place(folder: Path) -> Path:
    """Where a packed dataset lies for the moment between it and the one that replaces it."""
    return folder.parent / f".{folder.name}.old.tmp"


def _identity(folder: Path) -> tuple[int, ...] | None:
    """What changes when another folder takes the place; None where there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _open(folder: Path) -> PackedDataset:
    if not (folder / CARD).is_file():
        raise DassError(f"{folder} is not a packed dataset (no {CARD}): make it with `dass data import`")
    try:
        card = DatasetCard.from_json(read_sealed(folder / CARD, AGAIN))
    except ValueError as error:
        raise DassError(f"{folder / CARD} is damaged ({error}): run `dvc checkout` or import it again") from error
    side = card.resolution
    train_labels = _load(folder, "train_labels", (card.train_count,), "int64", len(card.classes))
    test_labels = _load(folder, "test_labels", (card.test_count,), "int64", len(card.classes))
    return PackedDataset(
        folder=folder,
        card=card,
        train_images=_load(folder, "train_images", (card.train_count, side, side, 3), "uint8"),
        train_labels=train_labels,
        test_images=_load(folder, "test_images", (card.test_count, side, side, 3), "uint8"),
        test_labels=test_labels,
    )


def load_target(folder: Path) -> TaskData:
    """Opens a packed dataset whole, as one target task named after the dataset; its bytes are verified.

    Raises:
        DassError: as in `open_packed` and `PackedDataset.verify`.
    """
    import torch

    packed = open_packed(folder, verified=True)
    return TaskData(
        name=packed.card.name,
        classes=packed.card.classes,
        train_images=as_tensor(packed.train_images),
        train_labels=torch.from_numpy(packed.train_labels),
        test_images=as_tensor(packed.test_images),
        test_labels=torch.from_numpy(packed.test_labels),
        data_id=content_id({"dataset": packed.card.content}),
    )


def as_tensor(images: np.ndarray) -> "Tensor":
    """Views uint8 [n, h, w, 3] as a tensor [n, 3, h, w] with channels-last strides, without a copy."""
    import torch

    return torch.from_numpy(images).permute(0, 3, 1, 2)


def _load(folder: Path, name: str, shape: tuple[int, ...], dtype: str, classes: int | None = None) -> np.ndarray:
    """One array file: images as a copy-on-write map (torch wants writable memory), labels in memory."""
    path = folder / f"{name}.npy"
    try:
        array = np.load(path, mmap_mode=None if classes else "c", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, TokenError) as error:  # the last two of a damaged header
        raise DassError(
            f"{path} cannot be read ({' '.join(str(error).split())}): run `dvc checkout` or import it again"
        ) from error
    if array.shape != shape or array.dtype != dtype:
        raise DassError(
            f"{path} holds {array.dtype} {list(array.shape)} but {CARD} says {dtype} {list(shape)}: import it again"
        )
    if classes and (array.min() < 0 or array.max() >= classes):
        raise DassError(f"{path} holds labels outside 0..{classes - 1}: import it again")
    return array
