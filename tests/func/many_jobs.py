"""Jobs of a task, many enough to be killed among them, for processes that train nothing and so import little."""

import numpy as np

from dass.space.search_space import SearchSpace
from dass.students.plan import StudentJob
from dass.students.record import TaskKey

STUDENTS = 300
KEY = TaskKey("split0", "d" * 12, "t" * 12, "r" * 12)


def all_jobs() -> list[StudentJob]:
    space = SearchSpace((16, 32, 64, 128), 3, (0.25, 0.5, 0.75, 1.0), "block")
    return [StudentJob(architecture, 0) for architecture in space.sample(STUDENTS, np.random.default_rng(0))]
