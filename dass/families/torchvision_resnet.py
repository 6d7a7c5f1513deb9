"""ResNets as torchvision and timm name them: resnet18, 34, 50, 101, 152, wide_resnet50_2 (He et al. 2016)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from dass.errors import UsageError
from dass.families import foreign
from dass.families.blocks import IMAGE_CHANNELS, IMAGENET, Block, Conv, Normalization, Shortcut
from dass.families.family import Family, Reading, Shapes, Widths

_UNSUPPORTED = {
    r"\.(se|fc1|fc2|attn)\.": "squeeze-and-excitation or attention",
    r"^conv1\.0\.": "a stem of several convolutions (the d and t variants)",
    r"\.downsample\.[2-9]": "an average pool in its shortcuts",
    r"(\.aa|\.bn_?blur|\.blur|maxpool.*filt)": "anti-aliasing",
}

# Kind of block, blocks of each stage, inner width of the first stage, residual stream over 64 times the stage's factor.
_NAMED: dict[str, tuple[Literal["basic", "bottleneck"], tuple[int, ...], int, int]] = {
    "resnet18": ("basic", (2, 2, 2, 2), 64, 1),
    "resnet34": ("basic", (3, 4, 6, 3), 64, 1),
    "resnet50": ("bottleneck", (3, 4, 6, 3), 64, 4),
    "resnet101": ("bottleneck", (3, 4, 23, 3), 64, 4),
    "resnet152": ("bottleneck", (3, 8, 36, 3), 64, 4),
    "wide_resnet50_2": ("bottleneck", (3, 4, 6, 3), 128, 4),
}


@dataclass(frozen=True, order=True)
class TorchvisionResNet:
    """Four stages of basic or bottleneck blocks; stages 2 to 4 halve the resolution, and a 7x7 stem quarters it.

    Elastic are the depth of a stage and, in each block, its inner channels: between the two convolutions of a basic
    block, on both sides of the 3x3 convolution of a bottleneck. Stem, residual stream and head stay.

    Attributes:
        streams: channels of the residual stream in each stage.
        block_kind: `basic` (two 3x3 convolutions) or `bottleneck` (1x1, 3x3, 1x1).
        stem_width: channels of the stem.
        stem_kernel: side of the stem's convolution, 7 or 3.
        stem_stride: its stride: read as 2 where the kernel is 7, as 1 where it is 3, as people have it for small
            images.
        max_pool: whether a max-pool of stride 2 follows: read likewise.
        projections: for each stage, whether its first block has a 1x1 convolution as shortcut.
        stride_in: the convolution of a bottleneck that halves the resolution: 2 as in torchvision and timm, 1 as in
            the original Caffe models.

    Raises:
        UsageError: a value out of range.
    """

    streams: tuple[int, ...]
    block_kind: Literal["basic", "bottleneck"]
    stem_width: int = 64
    stem_kernel: int = 7
    stem_stride: int = 2
    max_pool: bool = True
    projections: tuple[bool, ...] = (False, True, True, True)
    stride_in: Literal[1, 2] = 2

    name: ClassVar[str] = "torchvision_resnet"
    head: ClassVar[str] = "fc"
    ends_full: ClassVar[bool] = False
    divisor: ClassVar[int] = 8
    normalization: ClassVar[Normalization] = IMAGENET
    layout: ClassVar[tuple[str, ...]] = ("stem_stride", "max_pool", "stride_in")
    elastic: ClassVar[tuple[str, ...]] = ()
    sorts_channels: ClassVar[bool] = True
    pool_is_module: ClassVar[bool] = True
    stages: ClassVar[int] = 4

    def __post_init__(self) -> None:
        widths = (*self.streams, self.stem_width)
        if len(self.streams) != self.stages or any(type(width) is not int or width < 1 for width in widths):
            raise UsageError(f"{self.name}: streams must be four positive whole numbers, found {self.streams}")
        if self.block_kind not in ("basic", "bottleneck") or self.stem_kernel not in (3, 7):
            raise UsageError(
                f"{self.name}: blocks are basic or bottleneck and stems 3 or 7 pixels wide, found "
                f"{self.block_kind!r} and {self.stem_kernel!r}"
            )
        strides = (self.stem_stride, self.stride_in)
        if any(type(stride) is not int or stride not in (1, 2) for stride in strides):
            raise UsageError(f"{self.name}: stem_stride and stride_in are 1 or 2, found {strides}")
        if type(self.max_pool) is not bool or len(self.projections) != self.stages:
            raise UsageError(f"{self.name}: max_pool is true or false, and projections are one a stage")

    @property
    def reduction(self) -> int:
        """See `Family.reduction`."""
        return 8 * self.stem_stride * (2 if self.max_pool else 1)

    @property
    def usual_resolution(self) -> int | None:
        """See `Family.usual_resolution`."""
        return 224 if self.reduction == 32 else 32

    def stem(self, widths: Widths) -> tuple[Block, ...]:
        """See `Family.stem`."""
        conv = Conv("conv1", "bn1", IMAGE_CHANNELS, self.stem_width, self.stem_kernel, stride=self.stem_stride)
        return (Block((conv,), max_pool=self.max_pool),)

    def block(self, stage: int, position: int, entering: int, width: int) -> Block:
        """See `Family.block`."""
        at, stream = f"layer{stage + 1}.{position}", self.streams[stage]
        stride = 2 if stage > 0 and position == 0 else 1
        if self.block_kind == "basic":
            convs: tuple[Conv, ...] = (
                Conv(f"{at}.conv1", f"{at}.bn1", entering, width, stride=stride),
                Conv(f"{at}.conv2", f"{at}.bn2", width, stream),
            )
        else:
            first, second = (stride, 1) if self.stride_in == 1 else (1, stride)
            convs = (
                Conv(f"{at}.conv1", f"{at}.bn1", entering, width, kernel=1, stride=first),
                Conv(f"{at}.conv2", f"{at}.bn2", width, width, stride=second),
                Conv(f"{at}.conv3", f"{at}.bn3", width, stream, kernel=1),
            )
        if position > 0 or not self.projections[stage]:
            return Block(convs, Shortcut("subsample_and_pad", stride))
        projection = Conv(f"{at}.downsample.0", f"{at}.downsample.1", entering, stream, kernel=1, stride=stride)
        return Block(convs, Shortcut("projection", stride, projection))

    @classmethod
    def networks(cls) -> Mapping[str, tuple[Family, Widths]]:
        """See `Family.networks`; with `_3x3` those with a stem for small images."""
        named: dict[str, tuple[Family, Widths]] = {}
        for name, (kind, depths, width, times) in _NAMED.items():
            widths = tuple((width * 2**stage,) * depth for stage, depth in enumerate(depths))
            streams = tuple(64 * times * 2**stage for stage in range(cls.stages))
            projections = (kind == "bottleneck", True, True, True)
            named[name] = (cls(streams, kind, projections=projections), widths)
            named[f"{name}_3x3"] = (cls(streams, kind, 64, 3, 1, False, projections), widths)
        return named

    @classmethod
    def read(cls, shapes: Shapes) -> Reading | None:
        """See `Family.read`: four stages, names of torchvision."""
        depths = foreign.depths(shapes, r"layer(\d+)\.(\d+)\.conv1\.weight", cls.name)
        if len(depths) != cls.stages or not all(depths):
            return None
        foreign.refuse_variants(shapes, _UNSUPPORTED, cls.name)
        head = foreign.head(shapes, cls.name)
        stem = foreign.check_stem(shapes, cls.name, (3, 7))
        bottleneck = "layer1.0.conv3.weight" in shapes
        last = "conv3" if bottleneck else "conv2"
        streams = tuple(foreign.shape(shapes, f"layer{s}.0.{last}.weight", cls.name)[0] for s in (1, 2, 3, 4))
        folder = foreign.shortcut_folder(shapes)
        if folder is None:
            raise UsageError(f"{cls.name}: the shortcuts of stages 2 to 4 must be 1x1 convolutions, found none")
        projections = tuple(f"layer{s}.0.{folder}.0.weight" in shapes for s in (1, 2, 3, 4))
        large = stem[-1] == 7
        family = cls(
            streams, "bottleneck" if bottleneck else "basic", stem[0], stem[-1], 2 if large else 1, large, projections
        )
        widths = foreign.inner_widths(shapes, depths, cls.name)
        classes = shapes[f"{head}.weight"][0]
        return foreign.reading(family, widths, classes, {cls.head: head, ".downsample.": f".{folder}."})
