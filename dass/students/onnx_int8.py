"""A student's ONNX file with 8-bit integers in its convolutions, by ONNX Runtime's static quantisation."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.files import write_bytes
from dass.students.onnx_export import check_installed, run_onnx

CALIBRATION = 256  # training images that say how large the numbers between layers are
TRIED = 2_000  # test images at most
MAX_LOSS = 1.0  # points of accuracy; or two images, where these are more
_BATCH = 32


class WorseError(DassError):
    """A file of 8 bits answers worse than the one that it was made of, and was not written."""


@dataclass(frozen=True)
class Quantised:
    """What a file of 8 bits reaches beside the one that it was made of.

    Attributes:
        float32: percent of the test images, of the file that it was made of.
        int8: accuracy of the 8-bit file, in percent (0..100).
        images: number of images that were tried.
        megabytes: sizes of both files, in megabytes.
    """

    float32: float
    int8: float
    images: int
    megabytes: tuple[float, float]

    @property
    def difference(self) -> float:
        """Points of accuracy that 8 bits win; below 0 where they lose some."""
        return self.int8 - self.float32

    def metrics(self) -> dict[str, float]:
        """Numbers by which models are sorted and filtered on MLflow's page."""
        return {
            "int8_accuracy": self.int8,
            "int8_difference": self.difference,
            "int8_test_images": self.images,
            "int8_size_mb": self.megabytes[1],
        }


def int8_path(path: Path) -> Path:
    """Where the file of 8 bits lies beside another."""
    return path.with_name(f"{path.name.removesuffix('.onnx')}.int8.onnx")


def spread(images: Tensor, most: int = TRIED) -> Tensor:
    """Some of many images, spread evenly over all."""
    return images[_spread(len(images), most)]


def export_int8(source: Path, data: TaskData, path: Path) -> Quantised:
    """Writes the ONNX file of 8 bits that belongs to one of `export_onnx`, unless it answers worse.

    Weights are quantised channel by channel, to 7 of the 8 bits: on processors without instructions for them, sums of
    8-bit products overflow. Classifier and normalisation stay in float32; inputs, outputs and metadata are the same.

    Args:
        source: path of the file that `export_onnx` wrote.
        data: the student's task; training images say the range of each layer, test images are answered by both files.
        path: path of the file to write.

    Raises:
        UsageError: the extra is not installed.
        WorseError: more than a point of accuracy is lost.
        DassError: the file cannot be written.
    """
    check_installed()
    images = _rows(spread(data.test_images))
    labels = data.test_labels[_spread(len(data.test_labels), TRIED)].numpy()
    full = source.read_bytes()
    small = _quantised(source, _rows(spread(data.train_images, CALIBRATION)))
    before, after = (100 * float((run_onnx(each, images).argmax(1) == labels).mean()) for each in (full, small))
    if before - after > max(MAX_LOSS, 200 / len(labels)):
        raise WorseError(
            f"{path}: 8 bits reach {after:.2f} % of {len(labels)} test images where {source} reaches {before:.2f} %; "
            f"it was not written: use {source.name}"
        )
    write_bytes(path, small)
    return Quantised(before, after, len(labels), (len(full) / 1e6, len(small) / 1e6))


def _quantised(source: Path, images: NDArray[np.uint8]) -> bytes:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.batches: Iterator[NDArray[np.uint8]] = (
                images[start : start + _BATCH] for start in range(0, len(images), _BATCH)
            )

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    with TemporaryDirectory() as folder, _quiet():
        prepared, result = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(str(source), str(prepared))
        quantize_static(
            str(prepared), str(result), Images(), quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=["Conv"],
        )  # fmt: skip
        return result.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the tool's advice, which it gives to the root logger, from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _rows(images: Tensor) -> NDArray[np.uint8]:
    """Images [n, 3, h, w] in the order of files."""
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())


def _spread(count: int, most: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, most)).round().long()
