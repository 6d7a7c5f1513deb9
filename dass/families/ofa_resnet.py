"""The elastic ResNet-50 of once-for-all (Cai et al. 2020), the space of the paper's Section 5.5 and Table 6."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from dass.errors import UsageError
from dass.families import foreign
from dass.families.blocks import IMAGE_CHANNELS, IMAGENET, Block, Conv, Normalization, Shortcut
from dass.families.family import Family, Reading, Shapes, Widths

BASE_DEPTHS = (2, 2, 4, 2)
MORE_BLOCKS = (0, 1, 2)  # of a stage, beyond its base depth
STREAMS = (256, 512, 1024, 2048)
STREAM_RATIOS = (0.65, 0.8, 1.0)
EXPAND_RATIOS = (0.2, 0.25, 0.35)
STEM_WIDTHS = ((24, 32), (40, 48, 64))  # distinct ones; ratios 0.65 and 0.8 give the same first width
DIVISOR = 8


@dataclass(frozen=True, order=True)
class OfaResNet:
    """Four stages of bottlenecks behind a stem of two or three 3x3 convolutions and a max-pool.

    A student may have less of everything: fewer blocks of a stage, fewer channels inside each block, and, since they
    are fields of the family that a student may have less of, fewer channels of the residual stream of a stage and of
    the stem, whose middle convolution it may lack. The 3x3 convolution of a block has its stride. The shortcut of a
    stage's first block is an average pool and a 1x1 convolution.

    Attributes:
        streams: channels of the residual stream in each stage.
        stem_widths: channels of the stem's first and last convolution.
        stem_residual: whether a convolution with a shortcut lies between them.

    Raises:
        UsageError: a value out of range.
    """

    streams: tuple[int, ...] = STREAMS
    stem_widths: tuple[int, ...] = (32, 64)
    stem_residual: bool = True

    name: ClassVar[str] = "ofa_resnet"
    head: ClassVar[str] = "fc"
    ends_full: ClassVar[bool] = False
    divisor: ClassVar[int] = DIVISOR
    normalization: ClassVar[Normalization] = IMAGENET
    layout: ClassVar[tuple[str, ...]] = ()
    elastic: ClassVar[tuple[str, ...]] = ("streams", "stem_widths", "stem_residual")
    sorts_channels: ClassVar[bool] = False  # a supernet is trained so that its first channels are the important ones
    pool_is_module: ClassVar[bool] = False
    stages: ClassVar[int] = 4
    usual_resolution: ClassVar[int | None] = 224
    reduction: ClassVar[int] = 32

    def __post_init__(self) -> None:
        widths = (*self.streams, *self.stem_widths)
        whole = all(type(width) is int and width > 0 for width in widths)
        if len(self.streams) != self.stages or len(self.stem_widths) != 2 or not whole:
            raise UsageError(
                f"{self.name}: streams must be four positive whole numbers and stem_widths two, found {self.streams} "
                f"and {self.stem_widths}"
            )
        if type(self.stem_residual) is not bool:
            raise UsageError(f"{self.name}: stem_residual is true or false, found {self.stem_residual!r}")

    def stem(self, widths: Widths) -> tuple[Block, ...]:
        """See `Family.stem`."""
        inner, leaving = self.stem_widths
        first = Block((Conv("stem.conv1", "stem.bn1", IMAGE_CHANNELS, inner, stride=2),))
        middle = Block((Conv("stem.conv2", "stem.bn2", inner, inner),), Shortcut("behind_relu"))
        last = Block((Conv("stem.conv3", "stem.bn3", inner, leaving),), max_pool=True)
        return (first, middle, last) if self.stem_residual else (first, last)

    def block(self, stage: int, position: int, entering: int, width: int) -> Block:
        """See `Family.block`."""
        at, stream = f"stage{stage + 1}.{position}", self.streams[stage]
        stride = 2 if stage > 0 and position == 0 else 1
        convs = (
            Conv(f"{at}.conv1", f"{at}.bn1", entering, width, kernel=1),
            Conv(f"{at}.conv2", f"{at}.bn2", width, width, stride=stride),
            Conv(f"{at}.conv3", f"{at}.bn3", width, stream, kernel=1),
        )
        if position > 0:
            return Block(convs, Shortcut("subsample_and_pad"))
        projection = Conv(f"{at}.shortcut.conv", f"{at}.shortcut.bn", entering, stream, kernel=1)
        return Block(convs, Shortcut("pool_and_projection", stride, projection))

    @classmethod
    def networks(cls) -> Mapping[str, tuple[Family, Widths]]:
        """See `Family.networks`: the largest member, which is the paper's teacher."""
        return {"ofa_resnet50": member()}

    @classmethod
    def read(cls, shapes: Shapes) -> Reading | None:
        """See `Family.read`: our own names, those of the released supernet, and those of a network taken out of it."""
        theirs = _our_names(shapes)
        ours_to_shape = {ours: shapes[name] for ours, name in theirs.items()}
        if "stem.conv1.weight" not in ours_to_shape or "stage1.0.conv1.weight" not in ours_to_shape:
            return None
        depths = foreign.depths(ours_to_shape, r"stage(\d+)\.(\d+)\.conv1\.weight", cls.name)
        if len(depths) != cls.stages or not all(depths):
            raise UsageError(f"the checkpoint looks like a {cls.name} but has {len(depths)} stages, not {cls.stages}")
        if "fc.weight" not in ours_to_shape:
            raise UsageError(f"the checkpoint looks like a {cls.name} but has no linear layer")

        def leaving(name: str) -> int:
            return foreign.shape(ours_to_shape, f"{name}.weight", cls.name)[0]

        family = cls(
            tuple(leaving(f"stage{stage + 1}.0.conv3") for stage in range(cls.stages)),
            (leaving("stem.conv1"), leaving("stem.conv3")),
            "stem.conv2.weight" in ours_to_shape,
        )
        widths = tuple(
            tuple(leaving(f"stage{stage}.{position}.conv1") for position in range(depth))
            for stage, depth in enumerate(depths, start=1)
        )
        reading = foreign.reading(family, widths, ours_to_shape["fc.weight"][0], {})
        return replace(reading, names={ours: theirs.get(ours, ours) for ours in reading.names})


def member(
    depths: Sequence[int] = (4, 4, 6, 4),
    stream_ratios: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    expand_ratios: float | Sequence[Sequence[float]] = 0.35,
    stem_widths: tuple[int, int] = (32, 64),
    stem_residual: bool = True,
) -> tuple[OfaResNet, Widths]:
    """Family and widths of a network as once-for-all describes it; the largest without arguments.

    Args:
        depths: number of blocks of each stage.
        stream_ratios: width of each stage over 256, 512, 1024 and 2048.
        expand_ratios: inner channels over the stage's width: one for all blocks, or one for each block of each stage.
        stem_widths: channels of the stem's first and last convolution.
        stem_residual: whether the stem has its middle convolution.
    """
    streams = tuple(divisible(full * ratio) for full, ratio in zip(STREAMS, stream_ratios, strict=True))
    if isinstance(expand_ratios, int | float):
        expand_ratios = [[expand_ratios] * depth for depth in depths]
    widths = tuple(
        tuple(divisible(round(stream * ratio)) for ratio in ratios)
        for stream, ratios in zip(streams, expand_ratios, strict=True)
    )
    return OfaResNet(streams, stem_widths, stem_residual), widths


def divisible(channels: float) -> int:
    """The nearest multiple of 8, or the next one where that would lose more than a tenth."""
    nearest = max(DIVISOR, int(channels + DIVISOR / 2) // DIVISOR * DIVISOR)
    return nearest + DIVISOR if nearest < 0.9 * channels else nearest


# Our part of a name by that of a network taken out of the supernet; what lies before is kept apart.
_PARTS = (
    (r"input_stem\.0\.(conv|bn)\.", r"stem.\g<1>1."),
    (r"input_stem\.1\.conv\.(conv|bn)\.", r"stem.\g<1>2."),
    (r"input_stem\.[12]\.(conv|bn)\.", r"stem.\g<1>3."),
    (r"conv(\d)\.(conv|bn)\.", r"\2\1."),
    (r"downsample\.(conv|bn)\.", r"shortcut.\1."),
    (r"classifier\.linear\.", "fc."),
)


def _our_names(shapes: Shapes) -> dict[str, str]:
    """The checkpoint's name by ours; what is not recognised stands for itself."""
    plain = {name: name for name in shapes}
    if "input_stem.0.conv.conv.weight" in shapes:  # the supernet wraps each module in one that slices it
        plain = {re.sub(r"\.(conv|bn|linear)\.\1\.(?=\w+$)", r".\1.", name): name for name in shapes}
    firsts = sorted(
        int(match[1]) for name in plain if (match := re.fullmatch(r"blocks\.(\d+)\.downsample\.conv\.weight", name))
    )
    return {_our_name(name, firsts): theirs for name, theirs in plain.items()}


def _our_name(name: str, firsts: Sequence[int]) -> str:
    at = ""
    if match := re.match(r"blocks\.(\d+)\.", name):  # numbered through all stages
        number = int(match[1])
        stage = bisect_right(firsts, number)
        if stage == 0:
            return name
        at, name = f"stage{stage}.{number - firsts[stage - 1]}.", name[match.end() :]
    for pattern, ours in _PARTS:
        if match := re.match(pattern, name):
            return at + match.expand(ours) + name[match.end() :]
    return at + name
