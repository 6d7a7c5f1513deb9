"""params.yaml as frozen, validated objects.

`params.yaml` is the only truth of a run. One class per block; a stage declares in `dvc.yaml` just the
blocks it reads. An unknown key, a wrong type or a value out of range is refused with one line that names
the key.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from dass.amounts import Limit as Limits
from dass.amounts import crossed, megabytes, milliseconds
from dass.errors import UsageError
from dass.families.family import lay_out
from dass.families.normalization import parse_normalization
from dass.families.ofa_resnet import divisible
from dass.families.registry import FAMILIES
from dass.files import content_id
from dass.method_names import FEW_SHOT, METHODS, REFERENCE

Statistics = Literal["running", "batch"]
"""Which statistics batch norms take of the noise: see `Predictor.statistics`."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)]


def _limit(value: object, read: Callable[[float | str], object] = Limits.upper) -> object:
    """Checks a limit and keeps it as it was written; a text is a share."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise UsageError("of another type")
        if isinstance(value, str) and not value.endswith("%"):
            raise UsageError("a number in quotes")
        read(value)
    except UsageError:
        raise ValueError(
            f"must be millions above 0 or a share of the teacher's such as 40%, found {value!r:.60}"
        ) from None
    return value


def _amount(read: Callable[[float | str], float]) -> BeforeValidator:
    """Checks a value as `read` does, which is of `dass.amounts`, and keeps it as it was written."""

    def check(value: object) -> object:
        if not isinstance(value, int | float | str):
            raise ValueError(f"must be a number or a text, found {value!r:.60}")
        try:
            read(value)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return value

    return BeforeValidator(check)


Size = Annotated[float | str, _amount(megabytes)]
Latency = Annotated[float | str, _amount(milliseconds)]
Limit = Annotated[float | str, BeforeValidator(_limit)]  # millions, or a share of what the teacher has
LowerLimit = Annotated[float | str, BeforeValidator(partial(_limit, read=Limits.lower))]  # 0 for none


def _file_name(text: str) -> str:
    if "/" in text or text in ("", ".", "..") or any(ord(sign) < ord(" ") for sign in text) or len(text.encode()) > 255:
        raise ValueError(f"{text!r:.60} must be the name of a file in data/checkpoints")
    return text


FileName = Annotated[str, AfterValidator(_file_name)]
Percentage = Annotated[float, Field(ge=0, le=100)]


class Block(BaseModel):
    """Base of every block: immutable, no unknown keys, no silent conversion, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _ascending_to_one(ratios: tuple[float, ...]) -> tuple[float, ...]:
    if list(ratios) != sorted(set(ratios)) or ratios[0] <= 0 or ratios[-1] != 1.0:
        raise ValueError("ratios must ascend within (0, 1] and end in 1.0")
    return ratios


Resolution = Annotated[int, Field(ge=16, le=256, multiple_of=8)]  # side of a square image in pixels


class Data(Block):
    """What every dataset is packed to.

    Attributes:
        resolution: side of the square working image in pixels, a multiple of 8 (three stages halve it).
    """

    resolution: Resolution


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

    _from_list = field_validator("widths", "ratios", mode="before")(_as_tuple)
    _ordered = field_validator("ratios")(_ascending_to_one)

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
        network: the teacher's name in that family.
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

    _from_list = field_validator("ratios", mode="before")(_as_tuple)
    _ordered = field_validator("ratios")(_ascending_to_one)

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
        more_blocks: how many more a stage may have.
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

    _from_list = field_validator("streams", "base_depths", "stream_ratios", "expand_ratios", mode="before")(_as_tuple)
    _ordered = field_validator("stream_ratios")(_ascending_to_one)

    @field_validator("stem_widths", mode="before")
    @classmethod
    def _lists(cls, value: object) -> object:
        return tuple(map(_as_tuple, value)) if isinstance(value, list) else value

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


class Augmentation(Block):
    """Random changes of a training image.

    Attributes:
        flip: horizontal flip with probability one half.
        crop_padding: pixels of zero padding before a random crop back to the resolution; 0 for none.
    """

    flip: bool
    crop_padding: int = Field(ge=0, le=64)


class Recipe(Block):
    """SGD with Nesterov momentum and a cosine from `learning_rate` to 0 over all steps.

    Attributes:
        epochs: passes over the training images.
        min_steps: a small dataset gets as many whole epochs as make this many steps, see `for_images`.
        batch_size: images per step; the last, partial batch of an epoch is left out in training.
        precision: `auto` means bfloat16 autocast where the hardware computes in it, else float32.
    """

    epochs: int = Field(ge=1, le=2000)
    min_steps: int = Field(ge=0, le=1_000_000, default=0)
    batch_size: int = Field(ge=2, le=8192)
    learning_rate: float = Field(gt=0, le=10)
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0, le=1)
    augmentation: Augmentation
    precision: Literal["auto", "float32", "bfloat16"]

    def for_images(self, count: int) -> Self:
        """The recipe as a dataset of `count` training images gets it: enough epochs for `min_steps`."""
        steps = max(count // self.batch_size, 1)
        return self.model_copy(update={"epochs": max(self.epochs, math.ceil(self.min_steps / steps)), "min_steps": 0})


class TeacherRecipe(Recipe):
    """How a teacher is trained: cross entropy with label smoothing.

    Attributes:
        warmup_epochs: epochs of linear warm-up from 0, within `epochs`.
    """

    label_smoothing: float = Field(ge=0, lt=1)
    warmup_epochs: int = Field(ge=0, le=100, default=0)

    @model_validator(mode="after")
    def _fits(self) -> "TeacherRecipe":
        if self.warmup_epochs > self.epochs:
            raise ValueError("warmup_epochs cannot exceed epochs")
        return self


class DistillationRecipe(Recipe):
    """How a student is distilled from its remapped start (Eqs. 11-12 as the authors run them).

    Attributes:
        alpha: weight of the labels' cross entropy; 1 - alpha goes to the teacher's soft labels.
        temperature: T of Eq. 11.
        evaluations: evenly spaced test evaluations, the last at the end; `best_accuracy` is their maximum.
    """

    alpha: float = Field(ge=0, le=1)
    temperature: float = Field(gt=0, le=100)
    evaluations: int = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _fits(self) -> "DistillationRecipe":
        if self.evaluations > self.epochs:
            raise ValueError("evaluations cannot exceed epochs")
        return self


class Source(Block):
    """The source tasks: class groups of one dataset, each split into two halves.

    Split 2i trains on half A of group i and is tested on half B; split 2i+1 the other way round.

    Attributes:
        dataset: name of the packed dataset.
        groups: number of class groups; there are twice as many splits.
        classes_per_group: classes kept in each group; null for all.
        splits: the splits in use.
        validation: those of them that choose the predictor's checkpoint; the others train it.
    """

    dataset: Name
    groups: int = Field(ge=1, le=100)
    classes_per_group: int | None = Field(ge=2, default=None)
    splits: tuple[int, ...] = Field(min_length=1)
    validation: tuple[int, ...] = Field(min_length=1)

    @field_validator("splits", "validation", mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

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


class Predictor(Block):
    """Meta-learning of the predictor (Section 4, Appendix D.2).

    Attributes:
        episodes: outer steps; each uses every training task.
        query: students of each task in one episode (at most as many as there are records).
        inner_steps: gradient steps of the guide, 0 for none.
        inner_rate: start of the learned rates, one per weight.
        learning_rate: Adam's, for weights and rates alike.
        validate_every: episodes between checkpoints chosen by mean validation SRC.
        statistics: of the batch norms while networks respond to the noise image: `running`, those of the teacher's
            training images, or `batch`, the noise's own. The paper does not say which.
        unit: percent of accuracy that count as 1 in the network's target; 1, raw percent, is the paper's code's.
    """

    episodes: int = Field(ge=1, le=1_000_000)
    query: int = Field(ge=2, le=10_000)
    inner_steps: int = Field(ge=0, le=100)
    inner_rate: float = Field(gt=0, le=10)
    learning_rate: float = Field(gt=0, le=1)
    validate_every: int = Field(ge=1)
    statistics: Statistics = "running"
    unit: float = Field(gt=0, le=1000, default=50.0)


class Search(Block):
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
        max_macs: millions of multiply-accumulates (conv + linear) of the pick, or a share of the teacher's such as
            `40%`; null for no limit.
        max_params: millions of parameters of the pick, or a share; null for no limit.
        min_macs, min_params: likewise the least that a candidate has; null or 0 for no limit.
        max_size: of the pick's weights' file, such as `1MB`; null for no limit.
        max_latency: of one forward pass on the device that searches, such as `5ms`, measured; null for no limit.
        latency_batch: images in that pass.
        keep_accuracy: points that the pick may lose against its teacher: the cheapest that loses no more is picked;
            null for the best.
        keep_probability: how likely it has to be that it loses no more, above 0 and below 1.
    """

    method: Literal["dass", "multi_fidelity", "race"]
    candidates: int = Field(ge=1, le=1_000_000)
    one_batch: int = Field(ge=1, le=1_000_000)
    k_step: int = Field(ge=0, le=100_000)
    steps: Literal[5, 10, 20, 50]
    top: int = Field(ge=1, le=10_000)
    max_macs: Limit | None = None
    max_params: Limit | None = None
    min_macs: LowerLimit | None = None
    min_params: LowerLimit | None = None
    max_size: Size | None = None
    max_latency: Latency | None = None
    latency_batch: int = Field(ge=1, le=4096, default=1)
    keep_accuracy: Percentage | None = None
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


class Target(Block):
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
        max_macs, max_params, min_macs, min_params, max_size, max_latency, latency_batch, keep_accuracy,
            keep_probability: override the search block's, each for itself; 0 as lower limit means none.
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
    max_macs: Limit | None = None
    max_params: Limit | None = None
    min_macs: LowerLimit | None = None
    min_params: LowerLimit | None = None
    max_size: Size | None = None
    max_latency: Latency | None = None
    latency_batch: int | None = Field(ge=1, le=4096, default=None)
    keep_accuracy: Percentage | None = None
    keep_probability: float | None = Field(gt=0, lt=1, default=None)

    def limit(self, name: str, search: Search) -> Any:
        """One of the limits by name: the target's own, else that of the search block."""
        own = getattr(self, name)
        return getattr(search, name) if own is None else own

    @field_validator("classes", mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

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


class Evaluation(Block):
    """Which methods are compared, and how; `docs/evaluation.md` explains the tables.

    Attributes:
        methods: keys of `dass.method_names`, `dass` among them; or `all`.
        seeds: how many seeds of every method that learns, from `seed` upwards; DaSS's first is the predictor itself.
        budgets: shares of the teacher's MACs under which regret and precision are taken too, each in (0, 1).
        picks: methods whose pick of the search's candidates is distilled too; never one that is shown students.
        pick_seeds: how often each of these picks is distilled, from `seed` upwards.
        bootstrap: resamples of the paired bootstrap over students.
        confidence: coverage of the reported intervals, in percent.
    """

    methods: tuple[str, ...]
    seeds: int = Field(ge=1, le=100)
    budgets: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    picks: tuple[str, ...]
    pick_seeds: int = Field(ge=1, le=100)
    bootstrap: int = Field(ge=100, le=1_000_000)
    confidence: Percentage

    @field_validator("methods", mode="before")
    @classmethod
    def _all(cls, value: object) -> object:
        return tuple(METHODS) if value == "all" else value

    @field_validator("methods", "budgets", "picks", mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("methods", "picks")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in METHODS:
                raise ValueError(f"there is no method {name!r}: see docs/evaluation.md")
            if names.count(name) > 1:
                raise ValueError(f"{name!r} stands twice")
        return names

    @field_validator("budgets")
    @classmethod
    def _ascending(cls, budgets: tuple[float, ...]) -> tuple[float, ...]:
        if list(budgets) != sorted(set(budgets)):
            raise ValueError("budgets must ascend")
        return budgets

    @model_validator(mode="after")
    def _comparable(self) -> "Evaluation":
        if REFERENCE not in self.methods:
            raise ValueError(f"methods must have {REFERENCE} among them")
        for name in self.picks:
            if name in FEW_SHOT or name not in self.methods:
                raise ValueError(f"picks: {name!r} must be one of methods, not few-shot")
        return self


SPACE_TAGS = ("<paper>", "<named>", "<elastic>")  # which kind of space is meant; no part of any key


def _space_tag(value: Any) -> str:
    family = value.get("family", "paper_resnet") if isinstance(value, dict) else getattr(value, "family", None)
    if isinstance(value, ElasticSpace) or (isinstance(value, dict) and "expand_ratios" in value):
        return SPACE_TAGS[2]
    return SPACE_TAGS[family != "paper_resnet" and isinstance(value, dict | NamedSpace)]


class Params(Block):
    """The whole of params.yaml.

    Attributes:
        preset: name of the preset these values started from.
        seed: every random choice derives from it.
        datasets: the packed datasets that the source and the targets use.
    """

    preset: Name
    seed: int = Field(ge=0, le=2**31 - 1)
    datasets: tuple[Name, ...] = Field(min_length=1)
    data: Data
    space: Annotated[
        Annotated[Space, Tag(SPACE_TAGS[0])]
        | Annotated[NamedSpace, Tag(SPACE_TAGS[1])]
        | Annotated[ElasticSpace, Tag(SPACE_TAGS[2])],
        Discriminator(_space_tag),
    ]
    source: Source
    teacher: TeacherRecipe
    distillation: DistillationRecipe
    students: Students
    predictor: Predictor
    search: Search
    evaluation: Evaluation
    targets: dict[Name, Target] = Field(min_length=1)

    def further_resolutions(self, dataset: str) -> tuple[int, ...]:
        """Sides in pixels, beside data.resolution, at which targets want a dataset; ascending."""
        wanted = {target.resolution for target in self.targets.values() if target.dataset == dataset}
        return tuple(sorted(side for side in wanted if side is not None and side != self.data.resolution))

    @field_validator("datasets", mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _names(self) -> "Params":
        if len(set(self.datasets)) != len(self.datasets):
            raise ValueError("datasets: a name stands twice")
        used = {"source": self.source.dataset} | {f"targets.{n}": t.dataset for n, t in self.targets.items()}
        for key, dataset in used.items():
            if dataset not in self.datasets:
                raise ValueError(f"{key}.dataset: {dataset!r} is not in the datasets list: add it there")
        for name in self.targets:
            if name.startswith("split") or name in ("source", "mean"):
                raise ValueError(f"targets.{name}: `split...`, `source` and `mean` are names of something else")
        for name, target in self.targets.items():
            if self.search.method == "race" and target.keep_accuracy is not None:
                raise ValueError(f"targets.{name}.keep_accuracy needs a prediction, which search.method race has not")
        for name, target in self.targets.items():
            for what in ("macs", "params"):
                least, most = (target.limit(f"{end}_{what}", self.search) for end in ("min", "max"))
                if crossed(Limits.lower(least), Limits.upper(most)):
                    raise ValueError(
                        f"targets.{name}: min_{what} {least} is above max_{what} {most} (its own or search's)"
                    )
        return self


RECIPE_VERSION = 1  # raised by hand when a change of dass/training or dass/datasets changes results


PRECISIONS = ("float32", "bfloat16")


def recipe_ids(recipe: Recipe, precision: str) -> tuple[str, ...]:
    """Names of a recipe: that for this machine's precision first, then those that count as the same.

    Where the recipe leaves the precision to the machine, results of a machine that computes in another one count too,
    so that work goes on anywhere.

    Args:
        recipe: how teachers are trained or students distilled.
        precision: `float32` or `bfloat16`, of this machine.
    """
    others = [one for one in PRECISIONS if one != precision] if recipe.precision == "auto" else []
    return tuple(recipe_id(recipe, one) for one in (precision, *others))


def recipe_id(recipe: Recipe, precision: str) -> str:
    """Short id of everything in a recipe that can change a result.

    Args:
        recipe: the recipe.
        precision: what `auto` came to on this device, `float32` or `bfloat16`.
    """
    return content_id({**recipe.model_dump(mode="json"), "precision": precision, "version": RECIPE_VERSION})
