"""What a replayed method came to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A method of one size on one target under one limit.

    Attributes:
        target: name of the target.
        limit: most multiply-accumulates, as a share of the teacher's.
        students: how many of the target's students are within the limit; 1 for a rule that names its student.
        method: name of the method.
        size: what of it, in words.
        seconds: mean over draws, the delivered student's distillation included.
        accuracy: mean percent of test images over draws.
        low: percent that one in twenty draws falls short of.
        high: percent that one in twenty draws surpasses.
        best: mean over draws of the maximum over test evaluations, as the paper reports.
    """

    target: str
    limit: float
    students: int
    method: str
    size: str
    seconds: float
    accuracy: float
    low: float
    high: float
    best: float
