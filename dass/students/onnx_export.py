"""A student as an ONNX file, which other runtimes load; needs the extra `onnx` (`pip install -e '.[onnx]'`)."""

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from dass.datasets.augment import normalize
from dass.datasets.decoding import RESIZE_RULE, decode
from dass.errors import DassError, UsageError
from dass.files import write_bytes
from dass.networks.elastic_resnet import ElasticResNet
from dass.students.onnx_resize import with_resize

NEEDED = ("onnx", "onnxscript", "onnxruntime")
OPSET = 20
TOLERANCE = 1e-4  # of a probability: float32 sums in another order differ by less
RESIZED_TOLERANCE = 0.02  # of a probability on average, where single levels of pixels may differ
_TRIED = 4  # images on which the network is traced, and of noise, on which it is tried where there are no others
_BATCH = 32  # bounds the memory of a trial


class _Classifier(nn.Module):
    """What the registered model computes: uint8 images in the order of files, calibrated probabilities out."""

    def __init__(self, network: ElasticResNet, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, images: Tensor) -> Tensor:
        """Maps uint8 [n, h, w, 3] to probabilities [n, classes]."""
        return (self.network(normalize(images.permute(0, 3, 1, 2))) / self.temperature).softmax(dim=1)


def export_onnx(
    network: ElasticResNet,
    classes: tuple[str, ...],
    resolution: int,
    path: Path,
    *,
    temperature: float = 1.0,
    images: Tensor | None = None,
) -> float:
    """Writes a student as ONNX, once ONNX Runtime has given the same answers as torch.

    Input `images`: uint8 [n, h, w, 3], RGB, any n, h and w; the file brings them to the student's resolution as
    training images were, and normalises them. Output `probabilities`: float32 [n, classes]. The file's metadata hold
    `classes`, one a line, the `resolution`, and the `resize_rule`.

    Args:
        network: network of the student, on the CPU.
        classes: class names, in label order.
        resolution: side of the images in pixels.
        path: path of the file to write.
        temperature: temperature that calibrates the probabilities, above 0.
        images: images of its task, uint8 [n, 3, resolution, resolution], on which the file is tried; else noise.

    Returns:
        The largest difference of a probability between the two.

    Raises:
        UsageError: the extra is not installed.
        DassError: the two disagree, or the file cannot be written.
    """
    check_installed()
    classifier = _Classifier(network.float().eval(), temperature)
    if images is None:
        shape = (_TRIED, 3, resolution, resolution)
        images = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    rows = images.permute(0, 2, 3, 1).contiguous()
    metadata = {"classes": "\n".join(classes), "resolution": str(resolution), "resize_rule": RESIZE_RULE}
    model = with_resize(_converted(classifier, rows[:_TRIED], metadata), resolution, OPSET)
    with torch.inference_mode():
        expected = torch.cat([classifier(part) for part in rows.split(_BATCH)]).numpy()
    difference = float(np.abs(run_onnx(model, rows.numpy()) - expected).max())
    if not difference <= TOLERANCE:
        raise DassError(
            f"{path}: ONNX Runtime and torch differ by {difference:.2g} in a probability; nothing was written"
        )
    _check_sizes(model, classifier, rows[:_TRIED], resolution, path)
    write_bytes(path, model)
    return difference


def _check_sizes(model: bytes, classifier: nn.Module, rows: Tensor, resolution: int, path: Path) -> None:
    """Tries images of other sizes, which training would have brought to the student's.

    Pillow and the file round between two passes, of which either may come first: now and then a level is another.
    """
    for height, width in ((2 * resolution + 3, 3 * resolution), (3 * resolution, 2 * resolution + 1), (7, 9)):
        larger = np.stack([np.asarray(Image.fromarray(row.numpy()).resize((width, height))) for row in rows])
        squares = torch.from_numpy(np.stack([decode(image, resolution).pixels for image in larger]))
        with torch.inference_mode():
            expected = classifier(squares).numpy()
        difference = float(np.abs(run_onnx(model, larger) - expected).mean())
        if not difference <= RESIZED_TOLERANCE:
            raise DassError(
                f"{path}: images of {height}x{width} pixels are answered otherwise than by torch, on average by "
                f"{difference:.2g} in a probability; nothing was written"
            )


def check_installed() -> None:
    """Looks for what an export needs.

    Raises:
        UsageError: the extra is not installed.
    """
    if missing := [name for name in NEEDED if not find_spec(name)]:
        raise UsageError(f"ONNX needs {', '.join(missing)}: pip install -e '.[onnx]' in the project folder")


def run_onnx(model: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities [n, classes] that ONNX Runtime gives for images uint8 [n, h, w, 3], on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    parts = [
        session.run(None, {"images": images[start : start + _BATCH]})[0] for start in range(0, len(images), _BATCH)
    ]
    return np.concatenate(parts)


def _converted(classifier: nn.Module, images: Tensor, metadata: dict[str, str]) -> bytes:
    if len(images) == 1:  # one would be taken for the only number that there may be
        images = images.repeat(2, 1, 1, 1)
    with warnings.catch_warnings():  # the exporter's own, about itself
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            classifier, (images,), input_names=["images"], output_names=["probabilities"], opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("n")},), dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    proto = program.model_proto
    for key, value in metadata.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    data: bytes = proto.SerializeToString()
    return data
