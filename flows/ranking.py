"""Tasks as compared methods see them: source tasks to learn from, and targets with their distilled students."""

from dataclasses import dataclass, replace

from dass.baselines.ranker import RankingTask
from dass.baselines.scoring import SourceTasks, TargetSample
from dass.datasets.splits import Split, load_split
from dass.datasets.target_data import target_data
from dass.evaluation.report import Truth
from dass.files import content_id
from dass.networks.checkpoint import TeacherCard, load_card, load_teacher
from dass.predictor.embeddings import fixed_noise
from dass.project import Project
from dass.search.run import SearchResult, load_search
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from dass.students.build import task_key
from dass.students.database import StudentDatabase
from dass.students.plan import source_jobs
from dass.students.record import StudentRecord, TaskKey
from flows.runtime import device
from flows.splits import source_splits
from flows.target_students import wanted_students


@dataclass(frozen=True, eq=False)
class EvaluatedTarget:
    """A target whose true ranking is known.

    Attributes:
        truth: its distilled students.
        task: what methods may look at.
        key: what its records are filed under.
        teacher: what is known about its teacher.
        search: the candidates and the pick.
    """

    truth: Truth
    task: RankingTask
    key: TaskKey
    teacher: TeacherCard
    search: SearchResult

    @property
    def name(self) -> str:
        """The target's name in params.yaml."""
        return self.truth.target

    @property
    def candidates(self) -> tuple[Architecture, ...]:
        """All that the search looked at; in an order that gives nothing away."""
        return tuple(sorted(candidate.architecture for candidate in self.search.ranking))

    def students(self) -> TargetSample:
        """The distilled students, to be scored."""
        seconds = tuple(record.seconds for record in self.truth.records)
        return TargetSample(self.task, self._task_id(), "students", self.task.architectures, seconds)

    def searched(self) -> TargetSample:
        """The search's candidates, to be scored."""
        return TargetSample(self.task, self._task_id(), "candidates", self.candidates)

    def _task_id(self) -> str:
        noise = [self.task.data.resolution, self.task.noise.double().sum().item()]
        return content_id([self.key.task, self.key.data_id, self.key.teacher_id, self.task.teacher_accuracy, noise])


def evaluated_targets(project: Project) -> list[EvaluatedTarget]:
    """The targets whose students were distilled, in the order of params.yaml."""
    return [read_target(project, name) for name, target in project.params.targets.items() if target.evaluate]


def read_target(project: Project, name: str) -> EvaluatedTarget:
    """A target with its records under the present teacher and recipe.

    Raises:
        DassError: it has no such record, or no search.
    """
    params, data = project.params, target_data(project, name)
    teacher, card = load_teacher(project.target_teacher_file(name))
    key = task_key(data, teacher, params.distillation.for_images(len(data.train_labels)), device())
    jobs = wanted_students(project, name, params.students.per_target)
    records = StudentDatabase(project.target_students(name)).read(key, jobs)
    largest = cost(card.architecture, data.resolution, len(data.classes))
    truth = Truth.of(name, records, params.seed, len(data.test_labels), largest.macs)
    task = RankingTask(
        name,
        teacher.to(device()),
        card.accuracy,
        data,
        len(data.test_labels),
        SearchSpace.from_config(params.space),
        fixed_noise(params.data.resolution, params.seed),
        tuple(Architecture.from_json(record.architecture) for record in truth.records),
        tuple(record.final_accuracy for record in truth.records),
    )
    return EvaluatedTarget(truth, task, key, card, load_search(project.search_file(name)))


def source_tasks(project: Project) -> SourceTasks:
    """Every source task with its images and records."""
    validation = project.params.source.validation
    tasks = {split.index: _source_task(project, split) for split in source_splits(project)}
    return SourceTasks(
        [task for index, task in tasks.items() if index not in validation], [tasks[index] for index in validation]
    )


def _source_task(project: Project, split: Split) -> RankingTask:
    params, space = project.params, SearchSpace.from_config(project.params.space)
    path = project.source_teacher_file(split.name)
    teacher, accuracy = load_teacher(path)[0], load_card(path).accuracy
    data = load_split(project.packed(split.dataset), split)
    key = task_key(data, teacher, params.distillation.for_images(len(data.train_labels)), device())
    # Nothing looks at a source task's test images, which are another's training images: one copy of each is enough.
    test_images = len(data.test_labels)
    data = replace(data, test_images=data.test_images[:0].clone(), test_labels=data.test_labels[:0].clone())
    jobs = source_jobs(space, params.students.per_source, params.seed, split.name)
    records = StudentDatabase(project.source_students).read(key, jobs)
    return RankingTask(
        split.name,
        teacher.to(device()),
        accuracy,
        data,
        test_images,
        space,
        fixed_noise(params.data.resolution, params.seed),
        tuple(Architecture.from_json(record.architecture) for record in records),
        tuple(record.final_accuracy for record in records),
    )


def pick_records(project: Project, target: EvaluatedTarget) -> dict[tuple[str, int], StudentRecord]:
    """What is known of a target's distilled students by architecture and seed, picks and sampled ones alike."""
    databases = [StudentDatabase(folder) for folder in (project.target_students(target.name), project.picks)]
    return {(r.arch_id, r.seed): r for database in databases for r in database.read(target.key)}
