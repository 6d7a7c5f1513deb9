"""One point of the search space: how many blocks each stage has and how wide each block is."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from dass.errors import UsageError
from dass.families.blocks import Block
from dass.families.family import Family, Widths
from dass.families.paper_resnet import PAPER_RESNET
from dass.families.registry import family_from_json, family_to_json
from dass.files import content_id


@dataclass(frozen=True, order=True)
class Architecture:
    """An immutable, hashable network architecture (Appendix A).

    Attributes:
        widths: elastic width of each block of each stage, in channels. What it is the width of is the family's to
            say: of the whole block in the paper's, of its inner channels elsewhere.
        family: fixed parts of the network.

    Raises:
        UsageError: another number of stages than the family has, a stage without blocks, or a width that is not a
            positive integer.
    """

    widths: Widths
    family: Family = PAPER_RESNET

    def __post_init__(self) -> None:
        stages = self.family.stages
        if len(self.widths) != stages or not all(self.widths):
            raise UsageError(f"an architecture has {stages} stages of at least one block each, found {self.widths}")
        if any(type(width) is not int or width < 1 for stage in self.widths for width in stage):
            raise UsageError(f"block widths are positive whole numbers of channels, found {self.widths}")

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(len(stage) for stage in self.widths)

    @property
    def stem(self) -> tuple[Block, ...]:
        """What comes before the first stage."""
        return self.family.stem(self.widths)

    @property
    def stages(self) -> tuple[tuple[Block, ...], ...]:
        """The blocks of each stage, described."""
        stages = []
        entering = self.stem[-1].leaving
        for index, widths in enumerate(self.widths):
            stages.append(stage_blocks(self.family, index, widths, entering))
            entering = stages[-1][-1].leaving
        return tuple(stages)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks, the stem first."""
        return (*self.stem, *(block for stage in self.stages for block in stage))

    @property
    def arch_id(self) -> str:
        """Short stable name: 12 hex digits that depend on widths and family alone."""
        return content_id(self.to_json())

    @property
    def stage_label(self) -> str:
        """Depths and widths as the paper's tables write them, e.g. `2,4,2,2 / 20,32,104,128`.

        The width of a stage is that of its blocks, but for the last where that is always full (of the only block
        at depth 1); where those differ they are joined with dashes.
        """
        free = [stage[:-1] or stage if self.family.ends_full else stage for stage in self.widths]
        widths = ("-".join(map(str, stage[:1] if len(set(stage)) == 1 else stage)) for stage in free)
        return f"{','.join(map(str, self.depths))} / {','.join(widths)}"

    def to_json(self) -> dict[str, Any]:
        """The JSON value `{"widths": [[...], ...]}`, with `family` unless that is the paper's."""
        widths = {"widths": [list(stage) for stage in self.widths]}
        return widths if self.family == PAPER_RESNET else {"family": family_to_json(self.family), **widths}

    @property
    def text(self) -> str:
        """The JSON value as compact text, which `from_json` takes too."""
        return json.dumps(self.to_json(), separators=(",", ":"))

    @classmethod
    def from_json(cls, value: Any) -> "Architecture":
        """The inverse of `to_json`; takes the parsed value or its text.

        Raises:
            UsageError: the text is not JSON or the value has another form.
        """
        shown = value
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"architecture is not valid JSON: {error}") from error
        well_formed = isinstance(value, dict) and set(value) - {"family"} == {"widths"}
        if not well_formed or not isinstance(value["widths"], list):
            raise UsageError(f'architecture must look like {{"widths": [[..], [..], [..], [..]]}}, found {shown!r:.80}')
        if not all(isinstance(stage, list) for stage in value["widths"]):
            raise UsageError(f"architecture: each stage must be a list of block widths, found {shown!r:.80}")
        family = family_from_json(value["family"]) if "family" in value else PAPER_RESNET
        return cls(tuple(tuple(stage) for stage in value["widths"]), family)


ArchitectureField = Annotated[
    Architecture, PlainValidator(Architecture.from_json), PlainSerializer(Architecture.to_json)
]
"""An architecture as a field of a card (`dass.cards`)."""


@lru_cache(maxsize=2**16)  # thousands of candidates share some dozens of stages
def stage_blocks(family: Family, stage: int, widths: tuple[int, ...], entering: int) -> tuple[Block, ...]:
    """The blocks of one stage, described.

    Args:
        family: fixed parts of the network.
        stage: number of the stage, from 0.
        widths: elastic width of each block of each stage, in channels.
        entering: channels of the stage's input.
    """
    blocks: list[Block] = []
    for position, width in enumerate(widths):
        blocks.append(family.block(stage, position, entering, width))
        entering = blocks[-1].leaving
    return tuple(blocks)
