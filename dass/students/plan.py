"""Which students a task gets."""

import hashlib
from dataclasses import dataclass

import numpy as np

from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace


@dataclass(frozen=True)
class StudentJob:
    """One student to distil.

    Attributes:
        architecture: architecture of the network.
        seed: random seed of batch order and augmentation.
    """

    architecture: Architecture
    seed: int


def source_jobs(space: SearchSpace, count: int, seed: int, task: str) -> list[StudentJob]:
    """Students of a source task, each task its own sample (Appendix D.1).

    A larger count keeps the students of a smaller one and adds to them.

    Args:
        space: search space that they come from.
        count: number of students that is wanted.
        seed: random seed of the run; shapes the sample and is the students' training seed.
        task: name of the task, on which the sample depends.

    Raises:
        UsageError: the space holds fewer.
    """
    name = int.from_bytes(hashlib.sha256(task.encode()).digest()[:8], "big")
    return [StudentJob(architecture, seed) for architecture in space.sample(count, np.random.default_rng([seed, name]))]


def target_jobs(space: SearchSpace, count: int, seed: int, repeated: int = 0) -> list[StudentJob]:
    """Students of a target, the same architectures for all targets, so that targets can be compared.

    Args:
        space: search space that they come from.
        count: number of students that is wanted.
        seed: random seed of the run; shapes the sample and is the students' training seed.
        repeated: how many of them, the first, are trained once more under seed + 1 (the noise ceiling).

    Raises:
        UsageError: the space holds fewer.
    """
    architectures = space.sample(count, np.random.default_rng([seed]))
    return [StudentJob(architecture, seed) for architecture in architectures] + [
        StudentJob(architecture, seed + 1) for architecture in architectures[:repeated]
    ]
