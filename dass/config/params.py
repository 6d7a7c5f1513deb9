"""The whole of params.yaml."""

from pydantic import Field, field_validator, model_validator

from dass import amounts
from dass.config.evaluation import Evaluation
from dass.config.predictor import Predictor
from dass.config.recipes import DistillationRecipe, TeacherRecipe
from dass.config.search import Search, Target
from dass.config.source import Data, Source, Students
from dass.config.space import AnySpace
from dass.config.values import Block, Name, as_tuple


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
    space: AnySpace
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

    _from_list = field_validator("datasets", mode="before")(as_tuple)

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
                if amounts.crossed(amounts.Limit.lower(least), amounts.Limit.upper(most)):
                    raise ValueError(
                        f"targets.{name}: min_{what} {least} is above max_{what} {most} (its own or search's)"
                    )
        return self
