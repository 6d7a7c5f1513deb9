"""Reading names and shapes of other people's checkpoints."""

import re
from collections.abc import Mapping, Sequence

from dass.errors import UsageError
from dass.families.blocks import IMAGE_CHANNELS, Block
from dass.families.family import Family, Reading, Shapes, Widths

_NORM = ("weight", "bias", "running_mean", "running_var")


def depths(shapes: Shapes, pattern: str, family: str) -> tuple[int, ...]:
    """Blocks of each stage.

    Args:
        shapes: shape of each weight of the checkpoint, by name.
        pattern: regular expression of a weight that each block has, with the groups stage (from 1) and position.
        family: name of the family, for messages.

    Raises:
        UsageError: a stage lacks a block between others.
    """
    blocks: dict[int, set[int]] = {}
    for name in shapes:
        if match := re.fullmatch(pattern, name):
            blocks.setdefault(int(match[1]), set()).add(int(match[2]))
    counts = []
    for stage in range(1, max(blocks, default=0) + 1):
        positions = blocks.get(stage, set())
        missing = set(range(max(positions, default=0) + 1)) - positions
        if missing:
            raise UsageError(
                f"the checkpoint looks like a {family} but lacks block {min(missing)} of layer{stage}: "
                "save the whole network's state_dict()"
            )
        counts.append(len(positions))
    return tuple(counts)


def shape(shapes: Shapes, name: str, family: str) -> tuple[int, ...]:
    """The shape of the weights of a convolution.

    Raises:
        UsageError: they are missing or not those of a square convolution.
    """
    size = shapes.get(name)
    if size is None or len(size) != 4 or size[2] != size[3]:
        what = "lacks it" if size is None else f"has the shape {list(size)}"
        raise UsageError(f"the checkpoint looks like a {family} but where {name} should be a convolution it {what}")
    return size


def head(shapes: Shapes, family: str) -> str:
    """Name of the linear layer, also where it is the only layer with weights of a sequence, as behind a dropout.

    Raises:
        UsageError: there is none, there are several, or it has no bias.
    """
    pattern = r"((?:fc|linear|classifier|head)(?:\.(?:\d+|fc))?)\.weight"
    names = [match[1] for name, size in shapes.items() if (match := re.fullmatch(pattern, name)) and len(size) == 2]
    if len(names) != 1:
        what = (
            f"a head of several linear layers ({', '.join(names)})" if names else "no linear layer called fc or linear"
        )
        raise UsageError(
            f"the checkpoint looks like a {family} but has {what}: heads of one linear layer are supported"
        )
    if f"{names[0]}.bias" not in shapes:
        raise UsageError(
            f"the checkpoint looks like a {family}, but its linear layer {names[0]} has no bias: one is needed"
        )
    return names[0]


def check_stem(shapes: Shapes, family: str, kernels: Sequence[int]) -> tuple[int, ...]:
    """The shape of the stem's convolution, for RGB images.

    Raises:
        UsageError: another number of input channels or another kernel.
    """
    stem = shape(shapes, "conv1.weight", family)
    if stem[1] != IMAGE_CHANNELS:
        raise UsageError(f"the checkpoint takes images of {stem[1]} channels (conv1.weight); RGB images are supported")
    if stem[-1] not in kernels:
        sizes = " and ".join(f"{kernel}x{kernel}" for kernel in kernels)
        raise UsageError(
            f"the checkpoint looks like a {family} with a stem of {stem[-1]}x{stem[-1]} pixels: supported are {sizes}"
        )
    return stem


def inner_widths(shapes: Shapes, depths: Sequence[int], family: str) -> Widths:
    """Output channels of the first convolution of each block, in stages called layer1, layer2, ...

    Raises:
        UsageError: a block lacks it, or it is no square convolution.
    """
    return tuple(
        tuple(shape(shapes, f"layer{stage}.{position}.conv1.weight", family)[0] for position in range(depth))
        for stage, depth in enumerate(depths, start=1)
    )


def shortcut_folder(shapes: Shapes) -> str | None:
    """What the shortcuts that are convolutions are called; None where the second stage has no such shortcut."""
    names = ("downsample", "shortcut")
    return next((name for name in names if f"layer2.0.{name}.0.weight" in shapes), None)


def refuse_variants(shapes: Shapes, unsupported: Mapping[str, str], family: str) -> None:
    """Refuses variants that a family does not support.

    Args:
        shapes: shape of each weight of the checkpoint, by name.
        unsupported: what a variant is called, by a regular expression that one of its names matches.
        family: name of the family, for messages.

    Raises:
        UsageError: a weight of such a variant is there.
    """
    for pattern, what in unsupported.items():
        for name in shapes:
            if re.search(pattern, name):
                raise UsageError(
                    f"the checkpoint has {what} ({name}); supported are the plain residual networks of docs/families.md"
                )


def reading(family: Family, widths: Widths, classes: int, renamed: Mapping[str, str]) -> Reading:
    """A reading with the checkpoint's name of each weight of the network that it seems to be of.

    Args:
        family: fixed parts of the network.
        widths: elastic width of each block of each stage, in channels.
        classes: number of classes: outputs of the linear layer.
        renamed: the checkpoint's part of a name by ours.
    """
    names = {}
    blocks: list[Block] = [*family.stem(widths)]
    for stage, stage_widths in enumerate(widths):
        for position, width in enumerate(stage_widths):
            blocks.append(family.block(stage, position, blocks[-1].leaving, width))
    for block in blocks:
        for conv in block.all_convs:
            for ours in (f"{conv.name}.weight", *(f"{conv.norm}.{part}" for part in _NORM)):
                names[ours] = _foreign(ours, renamed)
    for part in ("weight", "bias"):
        names[f"{family.head}.{part}"] = f"{_foreign(family.head, renamed)}.{part}"
    return Reading(family, widths, classes, names)


def _foreign(name: str, renamed: Mapping[str, str]) -> str:
    for ours, theirs in renamed.items():
        name = theirs if name == ours else name.replace(ours, theirs) if ours.startswith(".") else name
    return name
