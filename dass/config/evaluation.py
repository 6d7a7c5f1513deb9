"""Block `evaluation` of params.yaml: which methods are compared, and how."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from dass.config.values import Block, as_tuple
from dass.method_names import FEW_SHOT, METHODS, REFERENCE


class Evaluation(Block):
    """Which methods are compared, and how; `docs/evaluation.md` explains the tables.

    Attributes:
        methods: keys of `dass.method_names`, `dass` among them; or `all`.
        seeds: how many seeds of every method that learns, from `seed` upwards; DaSS's first is the predictor itself.
        budgets: shares of the teacher's MACs under which regret and precision are taken too, each in (0, 1).
        picks: methods whose pick of the search's candidates is distilled too; never one that is shown students.
        pick_seeds: how often each of these picks is distilled, from `seed` upwards.
        bootstrap: resamples of the paired bootstrap over students.
        confidence: coverage of the reported intervals, in percent, from 50 to below 100; 95, not 0.95.
    """

    methods: tuple[str, ...]
    seeds: int = Field(ge=1, le=100)
    budgets: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    picks: tuple[str, ...]
    pick_seeds: int = Field(ge=1, le=100)
    bootstrap: int = Field(ge=100, le=1_000_000)
    confidence: float = Field(ge=50, lt=100)

    @field_validator("methods", mode="before")
    @classmethod
    def _all(cls, value: object) -> object:
        return tuple(METHODS) if value == "all" else value

    _from_list = field_validator("methods", "budgets", "picks", mode="before")(as_tuple)

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
