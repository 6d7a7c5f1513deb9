"""Targets of params.yaml whose students were really distilled, as a comparison of methods sees them."""

from dataclasses import dataclass

import torch

from dass.baselines.scoring import TargetSample
from dass.evaluation.report import GroundTruth
from dass.files import content_id
from dass.project import Project
from dass.search.result import SearchResult, load_search
from dass.space.architecture import Architecture
from dass.students.database import StudentDatabase
from dass.students.record import StudentRecord, TaskKey
from dass.tasks.ranking import RankingTask, ranking_task
from dass.tasks.stored import StoredTask, stored_target
from dass.tasks.students import distilled_students, student_key


@dataclass(frozen=True, eq=False)
class EvaluatedTarget:
    """A target whose true ranking is known.

    Attributes:
        stored: files of the task in the project.
        ground_truth: distilled students of the target and what they reached.
        task: images, teacher and students, as methods see them.
        key: key of the students' records in the database.
        search: result of the search for the target: candidates and pick.
    """

    stored: StoredTask
    ground_truth: GroundTruth
    task: RankingTask
    key: TaskKey
    search: SearchResult

    @classmethod
    def read(cls, project: Project, name: str, device: torch.device) -> "EvaluatedTarget":
        """A target with its records under the present teacher and recipe, its teacher on `device`.

        Raises:
            DassError: it has no such record, or no search.
        """
        stored = stored_target(project, name)
        task = stored.open()
        key = student_key(stored, task, device)
        records = distilled_students(stored, key)
        ground_truth = GroundTruth.of(name, records, project.params.seed, task.test_images, task.teacher_cost.macs)
        search = load_search(project.search_file(name))
        return cls(stored, ground_truth, ranking_task(stored, task, ground_truth.records, device), key, search)

    @property
    def name(self) -> str:
        """The target's name in params.yaml."""
        return self.ground_truth.target

    @property
    def candidates(self) -> tuple[Architecture, ...]:
        """All that the search looked at; in an order that gives nothing away."""
        return tuple(sorted(candidate.architecture for candidate in self.search.ranking))

    def students(self) -> TargetSample:
        """The distilled students, to be scored."""
        seconds = tuple(record.seconds for record in self.ground_truth.records)
        return TargetSample(self.task, self._task_id(), "students", self.task.architectures, seconds)

    def searched(self) -> TargetSample:
        """The search's candidates, to be scored."""
        return TargetSample(self.task, self._task_id(), "candidates", self.candidates)

    def distilled(self) -> dict[tuple[str, int], StudentRecord]:
        """Records of distilled students by arch_id and seed, picks and sampled ones alike."""
        databases = [StudentDatabase(folder) for folder in (self.stored.students, self.stored.project.picks)]
        return {(r.arch_id, r.seed): r for database in databases for r in database.read(self.key)}

    def _task_id(self) -> str:
        noise = [self.task.data.resolution, self.task.noise.double().sum().item()]
        return content_id([self.key.task, self.key.data_id, self.key.teacher_id, self.task.teacher_accuracy, noise])


def evaluated_targets(project: Project, device: torch.device) -> list[EvaluatedTarget]:
    """The targets whose students were distilled, in the order of params.yaml."""
    names = (name for name, target in project.params.targets.items() if target.evaluate)
    return [EvaluatedTarget.read(project, name, device) for name in names]
