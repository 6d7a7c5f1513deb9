"""Blocks `data`, `source` and `students` of params.yaml: what predictors learn from."""

from pydantic import Field, field_validator, model_validator

from dass.config.values import Block, Name, Resolution, as_tuple


class Data(Block):
    """What every dataset is packed to.

    Attributes:
        resolution: side of the square working image in pixels, a multiple of 8 (three stages halve it).
    """

    resolution: Resolution


class Source(Block):
    """The source tasks: class groups of one dataset, each split into two halves.

    Split 2i trains on half A of group i and is tested on half B; split 2i+1 the other way round.

    Attributes:
        dataset: name of the packed dataset.
        groups: number of class groups; there are twice as many splits.
        classes_per_group: classes kept in each group; null for all.
        splits: numbers of the splits in use, each once, 0..2 * groups - 1.
        validation: those of them that choose the predictor's checkpoint; the others train it.
    """

    dataset: Name
    groups: int = Field(ge=1, le=100)
    classes_per_group: int | None = Field(ge=2, default=None)
    splits: tuple[int, ...] = Field(min_length=1)
    validation: tuple[int, ...] = Field(min_length=1)

    @property
    def training(self) -> tuple[int, ...]:
        """Those of the splits that train the predictor."""
        return tuple(split for split in self.splits if split not in self.validation)

    _from_list = field_validator("splits", "validation", mode="before")(as_tuple)

    @model_validator(mode="after")
    def _consistent(self) -> "Source":
        if any(not 0 <= split < 2 * self.groups for split in self.splits) or len(set(self.splits)) != len(self.splits):
            raise ValueError(f"splits must be distinct and lie in 0..{2 * self.groups - 1}, two for each of groups")
        if len(set(self.validation)) != len(self.validation) or not set(self.validation) < set(self.splits):
            raise ValueError("validation must name some of the splits, each once, and leave at least one for training")
        return self


class Students(Block):
    """How many students are really distilled.

    Attributes:
        per_source: students of every source task, each task its own sample.
        per_target: students of every target whose true ranking is wanted, the same for all targets.
        repeated: how many of a target's students get a second seed (the noise ceiling), where the target asks.
        group: students trained side by side on the same batches, sharing the teacher's forward pass.
    """

    per_source: int = Field(ge=2, le=100_000)
    per_target: int = Field(ge=2, le=100_000)
    repeated: int = Field(ge=0, le=100_000, default=0)
    group: int = Field(ge=1, le=256)

    @model_validator(mode="after")
    def _subset(self) -> "Students":
        if self.repeated > self.per_target:
            raise ValueError("repeated cannot exceed per_target")
        return self
