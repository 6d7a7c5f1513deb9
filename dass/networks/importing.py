"""Other people's checkpoints as networks: the family read from names and shapes, then the weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dass.errors import DassError, UsageError
from dass.families.blocks import Normalization
from dass.families.family import Family, lay_out
from dass.families.registry import read_family
from dass.networks.elastic_resnet import INPUT, ElasticResNet, Input
from dass.networks.sorting import sort_channels
from dass.networks.state_dict import check_values, read_state_dict
from dass.space.architecture import Architecture

COUNTER = "num_batches_tracked"


@dataclass(frozen=True, eq=False)
class ImportedNetwork:
    """A network read from a file.

    Attributes:
        network: float32 on the CPU in eval mode.
        classes: class names in the order of its outputs, where the file holds as many as it has outputs.
    """

    network: ElasticResNet
    classes: tuple[str, ...] | None


def import_network(
    path: Path,
    *,
    normalization: Normalization | None = None,
    layout: Mapping[str, int | bool] | None = None,
    expected: Family | None = None,
    sort: bool | None = None,
) -> ImportedNetwork:
    """Reads a network of any supported family from any file of weights.

    Args:
        path: path of the file, see `read_state_dict`.
        normalization: of the images that the weights expect; None for what the file says, else the family's.
        layout: what else weights cannot tell, see `dass.families.family.lay_out`; None for that of
            `expected`, else the family's rules.
        expected: the family that the network should be of.
        sort: whether inner channels are put in order of importance; None for the family's habit.

    Raises:
        UsageError: there is no such file, or it is of no supported family.
        DassError: it is damaged, or a weight is missing, unknown, of another shape or not finite.
    """
    state = read_state_dict(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.tensors.items() if name not in INPUT}
    try:
        reading = read_family(shapes)
        if layout is None and expected is not None and expected.name == reading.family.name:
            layout = {name: getattr(expected, name) for name in expected.layout}
        architecture = Architecture(reading.widths, lay_out(reading.family, layout or {}))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    normalization = normalization or Input.stored(state.tensors)
    with torch.device("meta"):
        network = ElasticResNet(architecture, reading.classes, normalization=normalization)
    weights = network.state_dict()
    for name, empty in weights.items():
        if name in INPUT:
            continue
        if name.endswith(COUNTER):  # counts steps; older files lack it and nothing here reads it
            weights[name] = torch.zeros((), dtype=torch.int64)
            continue
        foreign = reading.names.get(name, name)
        if foreign not in state.tensors:
            untracked = foreign.endswith(("running_mean", "running_var"))
            remedy = (
                "batch norms without running statistics are not supported" if untracked else "save all of its weights"
            )
            raise DassError(f"{path} looks like a {reading.family.name} but lacks {foreign}: {remedy}")
        tensor = state.tensors[foreign]
        if tensor.shape != empty.shape:
            raise DassError(
                f"{path} looks like a {reading.family.name}, but {foreign} has shape {list(tensor.shape)} where "
                f"{list(empty.shape)} is expected{_guess(tensor, empty)}: see docs/families.md"
            )
        weights[name] = tensor.to(empty.dtype).contiguous()
    check_values(state.tensors, str(path))
    unknown = set(shapes) - set(reading.names.values()) - {name for name in shapes if name.endswith(COUNTER)}
    if unknown:
        raise DassError(
            f"{path} looks like a {reading.family.name} but has {len(unknown)} weights that such a network has not, "
            f"{min(unknown)} first: see docs/families.md for what is supported"
        )
    network.load_state_dict(weights, assign=True)
    if reading.family.sorts_channels if sort is None else sort:
        sort_channels(network)
    network.requires_grad_(True).eval()
    named = state.classes is not None and len(state.classes) == network.classes
    return ImportedNetwork(network, state.classes if named else None)


def _guess(tensor: Tensor, expected: Tensor) -> str:
    """What a shape other than the expected one is likely to come from."""
    same = tensor.dim() == 4 and tensor.shape[0] == expected.shape[0] and tensor.shape[2:] == expected.shape[2:]
    grouped = same and tensor.shape[1] < expected.shape[1] and expected.shape[1] % tensor.shape[1] == 0
    return " (perhaps grouped convolutions, which are not supported)" if grouped else ""
