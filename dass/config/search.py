"""Blocks `search` and `targets` of params.yaml: unseen tasks, and how their students are found."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from dass.config.values import Block, FileName, Latency, Limit, LowerLimit, Name, Percentage, Resolution, Size, as_tuple
from dass.errors import UsageError
from dass.families.normalization import parse_normalization

SearchKind = Literal["dass", "multi_fidelity", "race"]
"""Kinds of search: by the paper's predictor, by the multi-fidelity predictor, or by a race of students."""


class Limits(Block):
    """What the pick of a search may cost.

    Attributes:
        max_macs: millions of multiply-accumulates (conv + linear) of the pick, or a share of the teacher's such as
            `40%`; null for no limit.
        max_params: millions of parameters of the pick, or a share; null for no limit.
        min_macs, min_params: likewise the least that a candidate has; null or 0 for no limit.
        max_size: of the pick's weights' file, such as `1MB`; null for no limit.
        max_latency: of one forward pass on the device that searches, such as `5ms`, measured; null for no limit.
        keep_accuracy: points that the pick may lose against its teacher: the cheapest that loses no more is picked;
            null for the best.
    """

    max_macs: Limit | None = None
    max_params: Limit | None = None
    min_macs: LowerLimit | None = None
    min_params: LowerLimit | None = None
    max_size: Size | None = None
    max_latency: Latency | None = None
    keep_accuracy: Percentage | None = None


class Search(Limits):
    """Candidates of a target.

    Attributes:
        method: `dass` predicts from the response to noise and adapts by the guide, as the paper has it;
            `multi_fidelity` collects further proxies of the promising candidates (`docs/multi_fidelity.md`); `race`
            lets candidates train for some steps, the better half go on, until one is left, and needs nothing that was
            learned.
        candidates: distinct architectures sampled and ranked.
        one_batch: this many are tried on one batch: by the multi-fidelity predictor the best by size and noise, by
            the race the first.
        k_step: the best of those, which take the first steps of distillation.
        steps: of the longest short training; the multi-fidelity predictor is learned up to it.
        top: how many of the ranking are kept in the report.
        latency_batch: images in the forward pass of max_latency.
        keep_probability: how likely it has to be that the pick loses no more than keep_accuracy, above 0 and below 1.
    """

    method: SearchKind
    candidates: int = Field(ge=1, le=1_000_000)
    one_batch: int = Field(ge=1, le=1_000_000)
    k_step: int = Field(ge=0, le=100_000)
    steps: Literal[5, 10, 20, 50]
    top: int = Field(ge=1, le=10_000)
    latency_batch: int = Field(ge=1, le=4096, default=1)
    keep_probability: float = Field(gt=0, lt=1, default=0.8)

    @model_validator(mode="after")
    def _narrowing(self) -> "Search":
        if self.method == "race" and self.keep_accuracy is not None:
            raise ValueError(
                "keep_accuracy needs a prediction, which a race has not: use the method dass or multi_fidelity"
            )
        if self.method == "race" and self.k_step == 0:
            raise ValueError("k_step is 0, and a race needs students that train: give at least 1")
        if not self.k_step <= self.one_batch <= self.candidates:
            raise ValueError("k_step cannot exceed one_batch, nor one_batch candidates")
        return self


class Target(Limits):
    """An unseen task.

    Attributes:
        dataset: name of the packed dataset.
        resolution: side of its images in pixels where that is another than data.resolution, at which the source tasks
            and the noise image are; null for the same.
        teacher: the user's own checkpoint, a file in data/checkpoints; null to train one here.
        normalization: what the user's own teacher expects of its images: a name such as `imagenet`, or mean and
            standard deviation of three channels as six numbers with commas; null for its family's.
        classes: class names in the order of its outputs; null for the file's, else alphabetical order.
        expect_accuracy: percent of the test images that it should reach; null for anything above chance.
        evaluate: distil `students.per_target` students too, to know the true ranking.
        repeat: give `students.repeated` of them a second seed.
        halves: train on one half of all its images and test on the other, where the official test part is too small
            to tell students apart.
        latency_batch, keep_probability: override the search block's, as each limit does; 0 as lower limit means none.
    """

    dataset: Name
    resolution: Resolution | None = None
    teacher: FileName | None = None
    normalization: str | None = None
    classes: tuple[str, ...] | None = None
    expect_accuracy: Percentage | None = None
    evaluate: bool = True
    repeat: bool = False
    halves: bool = False
    latency_batch: int | None = Field(ge=1, le=4096, default=None)
    keep_probability: float | None = Field(gt=0, lt=1, default=None)

    def limit(self, name: str, search: Search) -> Any:
        """One of the limits by name: the target's own, else that of the search block."""
        own = getattr(self, name)
        return getattr(search, name) if own is None else own

    _from_list = field_validator("classes", mode="before")(as_tuple)

    @field_validator("normalization")
    @classmethod
    def _known(cls, text: str | None) -> str | None:
        try:
            _ = text and parse_normalization(text)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return text

    @model_validator(mode="after")
    def _of_the_users_own(self) -> "Target":
        for name in ("normalization", "classes", "expect_accuracy"):
            if getattr(self, name) is not None and self.teacher is None:
                raise ValueError(f"{name} is for a teacher of the user's own: give `teacher`, or leave it out")
        return self
