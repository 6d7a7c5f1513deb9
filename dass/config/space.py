"""Block `space` of params.yaml: what a student may be."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from dass.config.values import Block, as_tuple, ascending_to_one
from dass.errors import UsageError
from dass.families.family import lay_out
from dass.families.ofa_resnet import divisible
from dass.families.registry import FAMILIES


class Space(Block):
    """The student search space of the paper's family (Appendix A).

    Attributes:
        family: `paper_resnet`, and so if left out.
        widths: full width of each of the four stages, in channels.
        max_depth: blocks of the deepest stage, 1..5.
        ratios: allowed width ratios, ascending, ending in 1.0.
        granularity: `stage` (one ratio for all blocks of a stage but the last) or `block`.
    """

    family: Literal["paper_resnet"] = "paper_resnet"
    widths: tuple[int, int, int, int]
    max_depth: int = Field(ge=1, le=5)
    ratios: tuple[float, ...] = Field(min_length=1)
    granularity: Literal["stage", "block"]

    _from_list = field_validator("widths", "ratios", mode="before")(as_tuple)
    _ordered = field_validator("ratios")(ascending_to_one)

    @model_validator(mode="after")
    def _whole_channels(self) -> "Space":
        if min(self.widths) < 1 or max(self.widths) > 4096:
            raise ValueError("widths must lie in 1..4096")
        for width in self.widths:
            channels = [round(width * ratio) for ratio in self.ratios]
            if channels[0] < 1 or len(set(channels)) != len(channels):
                raise ValueError(f"two ratios give the same number of channels at {width} of widths")
        return self


class NamedSpace(Block):
    """The students of a teacher that people know by a name, such as resnet20 or resnet50 (`docs/families.md`).

    Attributes:
        family: of the teacher, another than the paper's.
        network: name of the teacher in that family, such as `resnet20`.
        ratios: allowed width ratios, ascending, ending in 1.0; widths are rounded to multiples of `divisor`.
        granularity: `stage` (one ratio for all blocks of a stage) or `block`.
        divisor: whole number that widths are multiples of; null for the family's.
        layout: strides and pools other than that network usually has, such as `{stem_stride: 1, max_pool: false}`.
    """

    family: str
    network: str
    ratios: tuple[float, ...] = Field(min_length=1)
    granularity: Literal["stage", "block"]
    divisor: int | None = Field(ge=1, le=256, default=None)
    layout: dict[str, int | bool] = Field(default_factory=dict)

    _from_list = field_validator("ratios", mode="before")(as_tuple)
    _ordered = field_validator("ratios")(ascending_to_one)

    @field_validator("family")
    @classmethod
    def _has_names(cls, name: str) -> str:
        if name not in FAMILIES:
            raise ValueError(f"there is no network family {name!r}: there are {', '.join(FAMILIES)}")
        return name

    @model_validator(mode="after")
    def _known(self) -> "NamedSpace":
        networks = FAMILIES[self.family].networks()
        if self.network not in networks:
            raise ValueError(f"family {self.family} has no network {self.network!r}: there are {', '.join(networks)}")
        try:
            lay_out(networks[self.network][0], self.layout)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return self


class ElasticSpace(Block):
    """The students of once-for-all's ResNet-50, where stages and the stem have elastic widths too (Section 5.5).

    Attributes:
        family: `ofa_resnet`.
        streams: full width of each of the four stages, in channels.
        base_depths: fewest blocks of each stage.
        more_blocks: number of blocks that a stage may have beyond its fewest, 0..8.
        stream_ratios: allowed widths of a stage over its full width, ascending, ending in 1.0.
        expand_ratios: allowed inner widths of a block over its stage's width, ascending.
        stem_widths: allowed widths of the stem's first and of its last convolution, each list ascending; its middle
            convolution may be missing.
    """

    family: Literal["ofa_resnet"]
    streams: tuple[int, int, int, int]
    base_depths: tuple[int, int, int, int]
    more_blocks: int = Field(ge=0, le=8)
    stream_ratios: tuple[float, ...] = Field(min_length=1)
    expand_ratios: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(min_length=1)
    stem_widths: tuple[tuple[int, ...], tuple[int, ...]]

    _from_list = field_validator("streams", "base_depths", "stream_ratios", "expand_ratios", mode="before")(as_tuple)
    _ordered = field_validator("stream_ratios")(ascending_to_one)

    @field_validator("stem_widths", mode="before")
    @classmethod
    def _lists(cls, value: object) -> object:
        return tuple(map(as_tuple, value)) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _whole(self) -> "ElasticSpace":
        for name in ("streams", "base_depths"):
            if not 1 <= min(getattr(self, name)) <= max(getattr(self, name)) <= 4096:
                raise ValueError(f"{name} must lie in 1..4096")
        for name, choices in (("expand_ratios", self.expand_ratios), *(("stem_widths", c) for c in self.stem_widths)):
            if not choices or min(choices) <= 0 or list(choices) != sorted(set(choices)):
                raise ValueError(f"{name} must ascend above 0")
        for full in self.streams:
            streams = [divisible(full * ratio) for ratio in self.stream_ratios]
            inner = [[divisible(round(stream * ratio)) for ratio in self.expand_ratios] for stream in streams]
            for name, widths in (("stream_ratios", streams), *(("expand_ratios", one) for one in inner)):
                if len(set(widths)) < len(widths):
                    raise ValueError(f"two of {name} give the same number of channels at {full} of streams: {widths}")
        return self


SPACE_TAGS = ("<paper>", "<named>", "<elastic>")  # which kind of space is meant; no part of any key


def _space_tag(value: Any) -> str:
    family = value.get("family", "paper_resnet") if isinstance(value, dict) else getattr(value, "family", None)
    if isinstance(value, ElasticSpace) or (isinstance(value, dict) and "expand_ratios" in value):
        return SPACE_TAGS[2]
    return SPACE_TAGS[family != "paper_resnet" and isinstance(value, dict | NamedSpace)]


AnySpace = Annotated[
    Annotated[Space, Tag(SPACE_TAGS[0])]
    | Annotated[NamedSpace, Tag(SPACE_TAGS[1])]
    | Annotated[ElasticSpace, Tag(SPACE_TAGS[2])],
    Discriminator(_space_tag),
]
