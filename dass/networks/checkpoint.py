"""Teachers and other networks on disk: weights in safetensors and a card, checked when they are read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from dass.cards import CardFormat, as_arrays, card_path, save_tensors
from dass.errors import DassError
from dass.networks.elastic_resnet import ElasticResNet, Input
from dass.networks.state_dict import check_values, read_state_dict
from dass.space.architecture import Architecture, ArchitectureField


@dataclass(frozen=True)
class TeacherCard:
    """What is known about a trained teacher.

    Attributes:
        task: name of the teacher's task.
        classes: class names, in label order.
        architecture: architecture of the network.
        resolution: side of its input in pixels.
        accuracy: accuracy on the test images, in percent (0..100).
        loss: mean cross entropy over test images.
        teacher_id: 12 hex digits of the weights, see `weights_id`.
        data_id: 12 hex digits of the images that it was trained and tested on.
        train_images: number of images that it was trained on.
        recipe_id: 12 hex digits of the recipe of its training; empty for an imported checkpoint.
        seed: random seed of its training; 0 for an imported checkpoint.
        seconds: seconds of the training.
        device: device of the training, such as `cpu`.
    """

    task: str
    classes: tuple[str, ...]
    architecture: ArchitectureField
    resolution: int
    accuracy: float
    loss: float
    teacher_id: str
    data_id: str
    train_images: int
    recipe_id: str
    seed: int
    seconds: float
    device: str


TEACHERS = CardFormat(TeacherCard, "a teacher's card", "restore it with `dvc checkout` or train the teacher again")


def weights_id(network: ElasticResNet) -> str:
    """First 12 hex digits of SHA-256 over name, shape and bytes of every weight and buffer, in order of names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def save_network(path: Path, network: ElasticResNet) -> str:
    """Writes a network's weights and buffers, atomically.

    Args:
        path: the weights' file, ending in `.safetensors`.
        network: network on any device.

    Returns:
        The id of the weights, see `weights_id`.

    Raises:
        DassError: the disk cannot be written.
    """
    save_tensors(path, as_arrays(network.state_dict()))
    return weights_id(network)


def load_network(path: Path, architecture: Architecture, classes: int, expected_id: str, remedy: str) -> ElasticResNet:
    """Reads a network whose weights a card describes.

    Args:
        path: path of the weights' file.
        architecture: architecture of the network.
        classes: number of classes: outputs of the linear layer.
        expected_id: id of the weights, 12 hex digits; empty where the card, of an earlier version, does not know it.
        remedy: what to do where the file is another, for messages.

    Returns:
        The network, float32 on the CPU in eval mode.

    Raises:
        DassError: the file is missing or damaged, or holds other weights.
    """
    network = import_checkpoint(path, architecture, classes)
    if expected_id and weights_id(network) != expected_id:
        raise DassError(
            f"{path} holds other weights ({weights_id(network)}) than its card describes ({expected_id}): {remedy}"
        )
    return network


def save_teacher(path: Path, network: ElasticResNet, card: TeacherCard) -> TeacherCard:
    """Writes `<task>.safetensors` and, after it, the card `<task>.json`, each atomically.

    Args:
        path: the weights' file, ending in `.safetensors`.
        network: network of the teacher.
        card: card of the teacher; its `teacher_id` and architecture are taken from the network.

    Returns:
        The card as written.

    Raises:
        DassError: weights that are not finite, or a disk that cannot be written.
    """
    weights = {name: _compact(tensor) for name, tensor in network.state_dict().items()}
    check_values(weights, "the teacher about to be saved")
    card = replace(card, teacher_id=weights_id(network), architecture=network.architecture)
    save_tensors(path, as_arrays(weights))
    TEACHERS.write(card_path(path), card)
    return card


def round_to_half(network: ElasticResNet) -> bool:
    """Rounds weights and statistics to what half precision holds, in place; they stay float32.

    A network so rounded is written in half the space and is the same network when it is read again, so that its id,
    and what was made with it, holds wherever it goes.

    Args:
        network: left as it is where a value is too large for half precision.

    Returns:
        Whether it was rounded.
    """
    halves = [tensor.half() for tensor in network.state_dict().values() if tensor.is_floating_point()]
    if not all(half.isfinite().all() for half in halves):
        return False
    with torch.no_grad():
        floating = (tensor for tensor in network.state_dict().values() if tensor.is_floating_point())
        for tensor, half in zip(floating, halves, strict=True):
            tensor.copy_(half)
    return True


def _compact(tensor: Tensor) -> Tensor:
    """The tensor in half precision where that loses nothing."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if torch.equal(half.to(tensor.dtype), tensor) else tensor


def load_card(path: Path) -> TeacherCard:
    """Reads the card of the weights at `path`.

    Raises:
        DassError: missing, not JSON, of another form, or not as it was written.
    """
    return TEACHERS.read(card_path(path))


def load_teacher(path: Path) -> tuple[ElasticResNet, TeacherCard]:
    """Reads a teacher that `save_teacher` wrote.

    Returns:
        The network, float32 on the CPU in eval mode, and its card.

    Raises:
        DassError: a file is missing or damaged, or the weights are not those that the card describes.
    """
    card = load_card(path)
    return load_network(path, card.architecture, len(card.classes), card.teacher_id, TEACHERS.remedy), card


def import_checkpoint(path: Path, architecture: Architecture, classes: int) -> ElasticResNet:
    """Reads weights from anywhere, as `read_state_dict` finds them.

    Args:
        path: path of the file.
        architecture: architecture that the weights must fit.
        classes: number of classes: outputs of the linear layer.

    Returns:
        The network, float32 on the CPU in eval mode.

    Raises:
        DassError: the file is missing or damaged, or a weight is missing, unknown, of another shape or not finite.
    """
    weights = dict(read_state_dict(path).tensors)
    with torch.device("meta"):
        network = ElasticResNet(architecture, classes, normalization=Input.stored(weights))
    expected = network.state_dict()
    for name, tensor in expected.items():
        if name.endswith("num_batches_tracked"):  # counts steps; older files lack it and nothing here reads it
            weights.setdefault(name, torch.zeros(tensor.shape, dtype=tensor.dtype))
    _check_names(weights, expected, path)
    for name, tensor in expected.items():
        if weights[name].shape != tensor.shape:
            raise DassError(
                f"{path}: {name} has shape {list(weights[name].shape)}, expected {list(tensor.shape)} for "
                f"{architecture.stage_label} with {classes} classes: check the search space and the number of classes"
            )
    converted = {name: weights[name].to(tensor.dtype).contiguous() for name, tensor in expected.items()}
    network.load_state_dict(converted, assign=True)
    return network.requires_grad_(True).eval()


def _check_names(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    missing = [name for name in expected if name not in weights]
    unknown = [name for name in weights if name not in expected]
    if missing or unknown:
        parts = [f"lacks {missing[0]} and {len(missing) - 1} more"] if missing else []
        parts += [f"has the unknown {unknown[0]} and {len(unknown) - 1} more"] if unknown else []
        raise DassError(f"{path} is not a network of this search space: it {' and '.join(parts)}")
