"""One point of the search space: how many blocks each stage has and how wide each block is."""

import json
from dataclasses import dataclass
from typing import Any

from dass.errors import UsageError
from dass.files import content_id

STAGES = 4


@dataclass(frozen=True, order=True)
class Architecture:
    """An immutable, hashable network architecture (Appendix A).

    Attributes:
        widths: output channels of each block of each of the four stages; the last block of a stage has the
            stage's full width, so that all architectures of a space leave a stage with the same shape.

    Raises:
        UsageError: not four stages, a stage without blocks, or a width that is not a positive integer.
    """

    widths: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if len(self.widths) != STAGES or not all(self.widths):
            raise UsageError(f"an architecture has {STAGES} stages of at least one block each, found {self.widths}")
        if any(type(width) is not int or width < 1 for stage in self.widths for width in stage):
            raise UsageError(f"block widths are positive whole numbers of channels, found {self.widths}")

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(len(stage) for stage in self.widths)

    @property
    def arch_id(self) -> str:
        """Short stable name: 12 hex digits that depend on the widths alone."""
        return content_id(self.to_json())

    @property
    def stage_label(self) -> str:
        """Depths and widths as the paper's tables write them, e.g. `2,4,2,2 / 20,32,104,128`.

        The width of a stage is that of its blocks but the last (of the only block at depth 1); where those
        differ they are joined with dashes.
        """
        inner = [stage[:-1] or stage for stage in self.widths]
        widths = ("-".join(map(str, stage[:1] if len(set(stage)) == 1 else stage)) for stage in inner)
        return f"{','.join(map(str, self.depths))} / {','.join(widths)}"

    def to_json(self) -> dict[str, list[list[int]]]:
        """The JSON value `{"widths": [[...], [...], [...], [...]]}`."""
        return {"widths": [list(stage) for stage in self.widths]}

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
            except ValueError as error:
                raise UsageError(f"architecture is not valid JSON: {error}") from error
        if not isinstance(value, dict) or set(value) != {"widths"} or not isinstance(value["widths"], list):
            raise UsageError(f'architecture must look like {{"widths": [[..], [..], [..], [..]]}}, found {shown!r:.80}')
        if not all(isinstance(stage, list) for stage in value["widths"]):
            raise UsageError(f"architecture: each stage must be a list of block widths, found {shown!r:.80}")
        return cls(tuple(tuple(stage) for stage in value["widths"]))
