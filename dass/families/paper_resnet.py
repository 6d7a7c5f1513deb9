"""The paper's network (Appendix A; shortcuts and strides as in the authors' released code)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dass.errors import UsageError
from dass.families.blocks import HALF, IMAGE_CHANNELS, Block, Conv, Normalization, Shortcut
from dass.families.family import Family, Reading, Shapes, Widths


@dataclass(frozen=True, order=True)
class PaperResNet:
    """Four stages of two 3x3 convolutions at the block's own width, and shortcuts without parameters.

    The stem is a 3x3 convolution at the width of the first block, without pooling. Stages 2 to 4 halve the
    resolution. The last block of a stage has the stage's full width.
    """

    name: ClassVar[str] = "paper_resnet"
    head: ClassVar[str] = "classifier"
    ends_full: ClassVar[bool] = True
    divisor: ClassVar[int] = 1
    normalization: ClassVar[Normalization] = HALF
    layout: ClassVar[tuple[str, ...]] = ()
    elastic: ClassVar[tuple[str, ...]] = ()
    sorts_channels: ClassVar[bool] = False
    pool_is_module: ClassVar[bool] = True
    stages: ClassVar[int] = 4
    usual_resolution: ClassVar[int | None] = None
    reduction: ClassVar[int] = 8

    def stem(self, widths: Widths) -> tuple[Block, ...]:
        """See `Family.stem`."""
        return (Block((Conv("stem_conv", "stem_bn", IMAGE_CHANNELS, widths[0][0]),)),)

    def block(self, stage: int, position: int, entering: int, width: int) -> Block:
        """See `Family.block`."""
        at = f"stages.{stage}.{position}"
        stride = 2 if stage > 0 and position == 0 else 1
        convs = (
            Conv(f"{at}.conv1", f"{at}.bn1", entering, width, stride=stride),
            Conv(f"{at}.conv2", f"{at}.bn2", width, width),
        )
        return Block(convs, Shortcut("crop_or_pad", stride))

    @classmethod
    def networks(cls) -> Mapping[str, tuple[Family, Widths]]:
        """See `Family.networks`; the paper's have no names."""
        return {}

    @classmethod
    def read(cls, shapes: Shapes) -> Reading | None:
        """See `Family.read`; the names are our own."""
        if "stem_conv.weight" not in shapes or "classifier.weight" not in shapes:
            return None
        widths: list[tuple[int, ...]] = []
        for stage in range(cls.stages):
            blocks: list[int] = []
            while (shape := shapes.get(f"stages.{stage}.{len(blocks)}.conv1.weight")) is not None:
                blocks.append(shape[0])
            if not blocks:
                raise UsageError(
                    f"the checkpoint looks like a {cls.name} but lacks stages.{stage}.0.conv1.weight: save the whole "
                    "network's state_dict()"
                )
            widths.append(tuple(blocks))
        return Reading(cls(), tuple(widths), shapes["classifier.weight"][0], {name: name for name in shapes})


PAPER_RESNET = PaperResNet()
