"""The resizing of images as an ONNX graph: what `dass.datasets.decoding` does to an array, in front of a student.

Pillow resizes by two passes, along rows and along columns, each a matrix of weights that only the sides of the image
decide on, and rounds to whole levels after each. The graph makes the same matrices for the sides that it finds. ONNX's
own operator `Resize` with antialiasing cannot take the central square as Pillow does, which sees the pixels beside it.
"""

import logging
import warnings
from typing import cast

import torch
from torch import Tensor, nn

SHARPNESS = -0.5  # of Pillow's bicubic filter
REACH = 2.0  # pixels to which that filter reaches, where nothing is made smaller


class Square(nn.Module):
    """Brings images of any one size to the square that a student takes.

    Args:
        resolution: side of the square in pixels.
    """

    def __init__(self, resolution: int) -> None:
        super().__init__()
        self.resolution = resolution

    def forward(self, images: Tensor) -> Tensor:
        """Maps uint8 [n, h, w, 3] to uint8 [n, resolution, resolution, 3]."""
        height, width = images.shape[1], images.shape[2]
        side = cast("int", torch.sym_min(height, width))  # not yet a number while the graph is made
        down, across = self._weights(height, side), self._weights(width, side)
        wide = images.permute(0, 3, 1, 2).float()
        narrow = _levels(wide @ across.T)  # Pillow begins with the rows
        return _levels(down @ narrow).to(torch.uint8).permute(0, 2, 3, 1)

    def _weights(self, length: int, side: int) -> Tensor:
        """Weights [resolution, length] of the pixels of a row for those of the central part of it."""
        scale = torch.full((1,), 1.0) * side / self.resolution
        wider = scale.clamp(min=1.0)
        left = torch.full((1,), 1.0) * ((length - side) // 2)
        centres = left + (torch.arange(self.resolution) + 0.5) * scale
        places = torch.arange(length) + 0.5
        distance = places[None] - centres[:, None]
        # Pillow takes pixels from and to whole places, which the filter itself may give a weight or not.
        first, last = (centres - REACH * wider + 0.5).floor(), (centres + REACH * wider + 0.5).floor()
        inside = (places[None] - 0.5 >= first[:, None]) & (places[None] - 0.5 < last[:, None])
        weights = torch.where(inside, _bicubic((distance / wider).abs()), 0.0)
        return weights / weights.sum(1, keepdim=True)


def _bicubic(distance: Tensor) -> Tensor:
    near = ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance**2 + 1
    far = SHARPNESS * (((distance - 5) * distance + 8) * distance - 4)
    return torch.where(distance < 1, near, torch.where(distance < REACH, far, 0.0))


def _levels(values: Tensor) -> Tensor:
    return (values + 0.5).floor().clamp(0, 255)


def with_resize(student: bytes, resolution: int, opset: int) -> bytes:
    """A student that takes images of any size.

    Args:
        student: an ONNX file whose input `images` is uint8 [n, resolution, resolution, 3].
        resolution: side of these images in pixels.
        opset: version of the operators.

    Returns:
        The same file behind a resize: its input `images` is uint8 [n, h, w, 3].
    """
    import onnx
    from onnx.compose import merge_models

    core = onnx.load_model_from_string(student)
    properties = {entry.key: entry.value for entry in core.metadata_props}
    resize = onnx.load_model_from_string(_exported(resolution, opset))
    resize.ir_version = core.ir_version
    merged = merge_models(resize, core, io_map=[("square", "images")], prefix2="student_")
    del merged.opset_import[:], merged.metadata_props[:]  # of both, some twice
    merged.opset_import.extend(core.opset_import)
    for key, value in properties.items():
        entry = merged.metadata_props.add()
        entry.key, entry.value = key, value
    _rename(merged, "student_probabilities", "probabilities")
    data: bytes = merged.SerializeToString()
    return data


def _rename(model: object, before: str, after: str) -> None:
    """Gives an output of a model another name."""
    graph = model.graph  # type: ignore[attr-defined]
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == before:
                node.output[index] = after
        for index, name in enumerate(node.input):
            if name == before:
                node.input[index] = after
    for output in graph.output:
        if output.name == before:
            output.name = after


def _exported(resolution: int, opset: int) -> bytes:
    images = torch.zeros((2, resolution + 3, resolution + 8, 3), dtype=torch.uint8)
    with warnings.catch_warnings():  # the exporter's own, about itself
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            Square(resolution),
            (images,),
            input_names=["images"],
            output_names=["square"],
            opset_version=opset,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    data: bytes = program.model_proto.SerializeToString()
    return data
