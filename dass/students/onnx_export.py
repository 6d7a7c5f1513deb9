"""A student as an ONNX file, which other runtimes load; needs the extra `onnx` (`pip install -e '.[onnx]'`)."""

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dass.datasets.augment import normalize
from dass.errors import DassError, UsageError
from dass.files import write_bytes
from dass.networks.elastic_resnet import ElasticResNet

NEEDED = ("onnx", "onnxscript", "onnxruntime")
OPSET = 20
TOLERANCE = 1e-4  # of a probability: float32 sums in another order differ by less
_TRIED = 4  # images on which the file is checked before it is written


class _Classifier(nn.Module):
    """What the registered model computes: uint8 images in the order of files, probabilities out."""

    def __init__(self, network: ElasticResNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Maps uint8 [n, h, w, 3] to probabilities [n, classes]."""
        return self.network(normalize(images.permute(0, 3, 1, 2))).softmax(dim=1)


def export_onnx(network: ElasticResNet, classes: tuple[str, ...], resolution: int, path: Path) -> float:
    """Writes a student as ONNX, once ONNX Runtime has given the same answers as torch.

    Input `images`: uint8 [n, resolution, resolution, 3], RGB, any n. Output `probabilities`: float32 [n, classes]. The
    class names are the file's metadata `classes`, one a line.

    Args:
        network: the student, on the CPU.
        classes: names in label order.
        resolution: side of the images in pixels.
        path: where to.

    Returns:
        The largest difference of a probability between the two.

    Raises:
        UsageError: the extra is not installed.
        DassError: the two disagree, or the file cannot be written.
    """
    if missing := [name for name in NEEDED if not find_spec(name)]:
        raise UsageError(f"ONNX needs {', '.join(missing)}: pip install -e '.[onnx]' in the project folder")
    classifier = _Classifier(network.float().eval())
    images = torch.randint(0, 256, (_TRIED, resolution, resolution, 3), generator=torch.Generator().manual_seed(0))
    images = images.to(torch.uint8)
    model = _converted(classifier, images, classes)
    with torch.inference_mode():
        difference = float(np.abs(_run(model, images) - classifier(images).numpy()).max())
    if not difference <= TOLERANCE:
        raise DassError(
            f"{path}: ONNX Runtime and torch differ by {difference:.2g} in a probability; nothing was written"
        )
    write_bytes(path, model)
    return difference


def _converted(classifier: nn.Module, images: Tensor, classes: tuple[str, ...]) -> bytes:
    with warnings.catch_warnings():  # the exporter's own, about itself
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            classifier, (images,), input_names=["images"], output_names=["probabilities"], opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("n")},), dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = "classes", "\n".join(classes)
    data: bytes = proto.SerializeToString()
    return data


def _run(model: bytes, images: Tensor) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    [probabilities] = session.run(None, {"images": images.numpy()})
    return np.asarray(probabilities)
