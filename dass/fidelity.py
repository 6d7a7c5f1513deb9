"""How much is measured of a student before it is distilled: what predictions rest on, and what they cost."""

import re
from dataclasses import dataclass

from dass.errors import UsageError

STEPS = (5, 10, 20, 50)
"""Lengths of the short trainings that the multi-fidelity predictor learns from."""

LABELS = {"size": "size and shape", "noise": "response to noise", "one_batch": "one batch"}
"""The label of each kind of measurement without training, the cheapest first."""

_OLD_KEYS = {"free": "size", "start": "one_batch"}  # before version 0.2; "sprint 20" and "20 steps" are read too


@dataclass(frozen=True)
class Fidelity:
    """What is known of a student: measurements of one kind, with all that is cheaper.

    Attributes:
        kind: `size` (parameters, MACs, depths and widths), `noise` (the response to the fixed noise image), `one_batch`
            (the remapped student on one batch of training images) or another key of `LABELS`, or `steps` (the first
            steps of its distillation).
        steps: number of steps of distillation; 0 for the other kinds.

    Raises:
        UsageError: there is no such kind, steps without a training, or a training without steps.
    """

    kind: str
    steps: int = 0

    def __post_init__(self) -> None:
        if (self.kind == "steps") != (self.steps > 0) or self.kind not in ("steps", *LABELS):
            raise UsageError(f"there is no fidelity of kind {self.kind!r:.40} with {self.steps} steps")

    @property
    def key(self) -> str:
        """An identifier, such as `one_batch` or `steps20`."""
        return f"steps{self.steps}" if self.steps else self.kind

    @property
    def label(self) -> str:
        """For people, such as `one batch` or `20 steps`."""
        return f"{self.steps} steps" if self.steps else LABELS[self.kind]

    @classmethod
    def parse(cls, key: str) -> "Fidelity":
        """The fidelity of a key; keys that earlier versions wrote are read too.

        Raises:
            UsageError: there is no such fidelity.
        """
        if steps := re.fullmatch(r"(?:steps|sprint )([1-9]\d*)|([1-9]\d*) steps", key):
            return cls("steps", int(steps[1] or steps[2]))
        if (kind := _OLD_KEYS.get(key, key)) in LABELS:
            return cls(kind)
        raise UsageError(f"there is no fidelity {key!r:.40}: there are {', '.join(one.key for one in FIDELITIES)}")

    @property
    def level(self) -> int:
        """Its place among those of the multi-fidelity predictor, 0 for the cheapest.

        Raises:
            ValueError: it is a training of another length than `STEPS`.
        """
        return FIDELITIES.index(self)


SIZE, NOISE, ONE_BATCH = Fidelity("size"), Fidelity("noise"), Fidelity("one_batch")
FIDELITIES = (*map(Fidelity, LABELS), *(Fidelity("steps", steps) for steps in STEPS))
"""Those of the multi-fidelity predictor, the cheapest first."""
