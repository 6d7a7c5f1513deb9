"""ResNets for small images: three stages of basic blocks (He et al. 2016, section 4.2): ResNet-20, 32, 44, 56, 110."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from dass.errors import UsageError
from dass.families import foreign
from dass.families.blocks import IMAGE_CHANNELS, IMAGENET, Block, Conv, Normalization, Shortcut
from dass.families.family import Family, Reading, Shapes, Widths

_UNSUPPORTED = {
    r"\.conv3\.weight$": "bottleneck blocks in three stages",
    r"\.(se|fc1|fc2|attn|ca)\.": "squeeze-and-excitation or attention",
}


@dataclass(frozen=True, order=True)
class CifarResNet:
    """A 3x3 stem, three stages of two 3x3 convolutions, and one linear layer; stages 2 and 3 halve the resolution.

    Elastic are the depth of a stage and, in each block, the channels between its two convolutions. Stem, residual
    stream and head stay.

    Attributes:
        streams: channels of the residual stream in each stage.
        shortcut: where a stage's stream is wider than the one before: `A` takes every second pixel and adds channels
            of zeros, `B` is a 1x1 convolution with batch norm.

    Raises:
        UsageError: not three positive widths, or another kind of shortcut.
    """

    streams: tuple[int, ...] = (16, 32, 64)
    shortcut: Literal["A", "B"] = "A"

    name: ClassVar[str] = "cifar_resnet"
    head: ClassVar[str] = "linear"
    ends_full: ClassVar[bool] = False
    divisor: ClassVar[int] = 8
    normalization: ClassVar[Normalization] = IMAGENET  # as the widest-spread checkpoints were trained
    layout: ClassVar[tuple[str, ...]] = ()
    elastic: ClassVar[tuple[str, ...]] = ()
    sorts_channels: ClassVar[bool] = True
    pool_is_module: ClassVar[bool] = True
    stages: ClassVar[int] = 3
    usual_resolution: ClassVar[int | None] = 32
    reduction: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if len(self.streams) != self.stages or any(type(width) is not int or width < 1 for width in self.streams):
            raise UsageError(f"{self.name}: streams must be three positive whole numbers, found {self.streams}")
        if self.shortcut not in ("A", "B"):
            raise UsageError(f"{self.name}: shortcut must be A or B, found {self.shortcut!r}")

    def stem(self, widths: Widths) -> tuple[Block, ...]:
        """See `Family.stem`."""
        return (Block((Conv("conv1", "bn1", IMAGE_CHANNELS, self.streams[0]),)),)

    def block(self, stage: int, position: int, entering: int, width: int) -> Block:
        """See `Family.block`."""
        at, stream = f"layer{stage + 1}.{position}", self.streams[stage]
        stride = 2 if stage > 0 and position == 0 else 1
        convs = (
            Conv(f"{at}.conv1", f"{at}.bn1", entering, width, stride=stride),
            Conv(f"{at}.conv2", f"{at}.bn2", width, stream),
        )
        if stride == 1 and entering == stream:
            return Block(convs, Shortcut("subsample_and_pad"))
        if self.shortcut == "A":
            return Block(convs, Shortcut("subsample_and_pad", stride))
        projection = Conv(f"{at}.shortcut.0", f"{at}.shortcut.1", entering, stream, kernel=1, stride=stride)
        return Block(convs, Shortcut("projection", stride, projection))

    @classmethod
    def networks(cls) -> Mapping[str, tuple[Family, Widths]]:
        """See `Family.networks`: resnet20 to resnet110; with `_b` those whose shortcuts are convolutions."""
        named: dict[str, tuple[Family, Widths]] = {}
        for blocks in (3, 5, 7, 9, 18):
            widths = tuple((width,) * blocks for width in (16, 32, 64))
            named[f"resnet{6 * blocks + 2}"] = (cls(), widths)
            named[f"resnet{6 * blocks + 2}_b"] = (cls(shortcut="B"), widths)
        return named

    @classmethod
    def read(cls, shapes: Shapes) -> Reading | None:
        """See `Family.read`: three stages of basic blocks, a 3x3 stem, a head called linear or fc."""
        depths = foreign.depths(shapes, r"layer(\d+)\.(\d+)\.conv1\.weight", cls.name)
        if len(depths) != cls.stages or not all(depths):
            return None
        foreign.refuse_variants(shapes, _UNSUPPORTED, cls.name)
        head = foreign.head(shapes, cls.name)
        foreign.check_stem(shapes, f"{cls.name} (three stages)", (3,))
        streams = tuple(foreign.shape(shapes, f"layer{s}.0.conv2.weight", cls.name)[0] for s in (1, 2, 3))
        folder = foreign.shortcut_folder(shapes)
        family = cls(streams, "B" if folder else "A")
        widths = foreign.inner_widths(shapes, depths, cls.name)
        classes = shapes[f"{head}.weight"][0]
        return foreign.reading(family, widths, classes, {cls.head: head, ".shortcut.": f".{folder}."})
