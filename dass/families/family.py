"""What every network family states about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from dass.errors import UsageError
from dass.families.blocks import Block, Normalization

Widths = tuple[tuple[int, ...], ...]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Reading:
    """What a family makes of the names and shapes of a foreign checkpoint.

    Attributes:
        family: the family with its fixed parts.
        widths: elastic width of each block of each stage.
        classes: number of classes: outputs of the linear layer.
        names: the checkpoint's name of each of our weights.
    """

    family: "Family"
    widths: Widths
    classes: int
    names: Mapping[str, str]


def lay_out(family: "Family", layout: Mapping[str, int | bool]) -> "Family":
    """A family with other values of what weights cannot tell, such as the stride of the stem.

    Args:
        family: as read by the usual rule.
        layout: values of the fields that `family.layout` names.

    Raises:
        UsageError: the family has no such field, or not such a value.
    """
    for name in layout:
        if name not in family.layout:
            forms = ", ".join(family.layout) or "nothing"
            raise UsageError(f"layout: weights of a {family.name} leave open {forms}, not {name}")
    return replace(family, **layout)  # type: ignore[type-var]  # every family is a dataclass


def fits(student: "Family", teacher: "Family") -> bool:
    """Whether a student's family can be sliced out of its teacher's: equal, or less in elastic fields."""
    if student == teacher:
        return True
    if type(student) is not type(teacher):
        return False
    pairs = [(getattr(student, name), getattr(teacher, name)) for name in student.elastic]
    lifted = replace(student, **dict(zip(student.elastic, (full for _, full in pairs), strict=True)))  # type: ignore[type-var]
    return lifted == teacher and all(
        all(own <= full for own, full in zip(mine, theirs, strict=True)) if isinstance(mine, tuple) else mine <= theirs
        for mine, theirs in pairs
    )


class Family(Protocol):
    """The fixed parts of a kind of residual network; hashable, compared by value.

    A network is a stem, stages of blocks, global average pooling and one linear layer. Each block has one elastic
    width. A student has the first blocks of each stage and, of each convolution, the first channels. It is of its
    teacher's family, but for the fields that are elastic themselves.

    Attributes:
        name: in `params.yaml`, in cards and in files.
        head: name of the linear layer's module.
        ends_full: whether the last block of each stage keeps its full width.
        divisor: whole number that widths are multiples of unless the search space says otherwise.
        normalization: what its networks expect unless their files say otherwise.
        layout: the fields that weights cannot tell, see `lay_out`.
        elastic: the fields of which a student may have less than its teacher, numbers or truth values, see `fits`.
        pool_is_module: whether the global average pool is one that ptflops counts.
        sorts_channels: whether inner channels are put in order of importance when a checkpoint is imported.
    """

    name: ClassVar[str]
    head: ClassVar[str]
    ends_full: ClassVar[bool]
    divisor: ClassVar[int]
    normalization: ClassVar[Normalization]
    layout: ClassVar[tuple[str, ...]]
    elastic: ClassVar[tuple[str, ...]]
    pool_is_module: ClassVar[bool]
    sorts_channels: ClassVar[bool]

    def __hash__(self) -> int:
        """Of the fixed parts."""
        ...

    @property
    def stages(self) -> int:
        """Number of stages."""
        ...

    @property
    def reduction(self) -> int:
        """Side of the input over the side of the last stage's output."""
        ...

    @property
    def usual_resolution(self) -> int | None:
        """Side in pixels of the images that such networks are mostly trained on; None where there is no habit."""
        ...

    def stem(self, widths: Widths) -> tuple[Block, ...]:
        """What comes before the first stage, for a network of these widths.

        Networks of equal family differ in no more than the channels with which the stem is left.
        """
        ...

    def block(self, stage: int, position: int, entering: int, width: int) -> Block:
        """One block.

        Args:
            stage: number of the stage, from 0.
            position: in its stage, 0 for the first.
            entering: number of channels of the input.
            width: elastic width of the block, in channels, at least 1.
        """
        ...

    @classmethod
    def networks(cls) -> Mapping[str, tuple["Family", Widths]]:
        """Family and full widths of the networks that people know by a name."""
        ...

    @classmethod
    def read(cls, shapes: Shapes) -> Reading | None:
        """Recognises a checkpoint by the names and shapes of its weights.

        Returns:
            None where it is of another family.

        Raises:
            UsageError: it is nearly of this family; the message names what is not supported.
        """
        ...
