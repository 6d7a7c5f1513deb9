"""Stage `rank`: what every compared method makes of each target's students, and its picks, distilled."""

from collections.abc import Iterator, Sequence
from functools import partial

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from dass.baselines.catalogue import CATALOGUE, Settings
from dass.baselines.picks import Pick, picks_of, searcher
from dass.baselines.scores import ScoreDatabase, Scores
from dass.baselines.scoring import Scoring, TargetSample
from dass.datasets.target_data import target_data
from dass.files import content_id, file_id
from dass.method_names import FEW_SHOT, REFERENCE
from dass.predictor.checkpoint import load_predictor
from dass.project import Project
from dass.students.database import StudentDatabase
from dass.students.plan import StudentJob
from dass.students.trained import load_student
from flows.database import fill_database
from flows.ranking import EvaluatedTarget, evaluated_targets, pick_records, source_tasks
from flows.runtime import Progress, device, logger, worker_count, workers
from flows.slots import gpu_slot
from flows.stage import run_stage


@flow(name="rank")
def rank() -> None:
    """Score every target's students by every method of params.yaml, then distil the methods' picks."""
    project = Project.open()
    for folder in (project.scores, project.picks):
        folder.mkdir(parents=True, exist_ok=True)
    targets = evaluated_targets(project)
    scores = score_methods(project, targets)
    show(scores)
    for target in targets:
        distil_picks.with_options(task_run_name=f"picks of {target.name}")(project, target)


@task(cache_policy=NO_CACHE, name="score by every method")
def score_methods(project: Project, targets: Sequence[EvaluatedTarget]) -> list[Scores]:
    """Score what has no scores yet; each set of scores is on disk as soon as it is known."""
    scoring, block = open_scoring(project), project.params.evaluation
    students = [target.students() for target in targets]
    searched = [target.searched() for target in targets]
    work = [(name, seed) for name in block.methods if name not in FEW_SHOT for seed in method_seeds(project, name)]
    curves = [name for name in block.methods if name in FEW_SHOT]
    seeds = method_seeds(project, REFERENCE) if curves else []
    progress, total = Progress("methods", 0, len(work) + len(seeds)), len(work) + len(seeds)
    found: list[Scores] = []
    with gpu_slot(device()):
        for done, of_method in enumerate(_work(project, scoring, work, students, searched), start=1):
            found += of_method
            progress(done, total)
        for done, seed in enumerate(seeds, start=len(work) + 1):
            found += [scoring.curve(curves, seed, sample) for sample in students]
            progress(done, total)
    for scores in found:
        if scores.failure:
            logger().warning("%s has no scores of %s: %s", scores.method, scores.target, scores.failure)
    return found


def _work(
    project: Project,
    scoring: Scoring,
    work: Sequence[tuple[str, int]],
    students: Sequence[TargetSample],
    searched: Sequence[TargetSample],
) -> Iterator[list[Scores]]:
    """The scores of one method and seed after the other; of the search's candidates too where its picks are wanted."""
    for name, seed in work:
        picks = name in scored_for_picks(project) and seed == project.params.seed
        yield list(scoring.score(name, seed, [*students, *(searched if picks else ())]))


def scored_for_picks(project: Project) -> list[str]:
    """Methods that score the search's candidates: what DaSS makes of them, a search by DaSS has found."""
    by_dass = project.params.search.method == "dass"
    return [name for name in project.params.evaluation.picks if not (by_dass and name == REFERENCE)]


def open_scoring(project: Project) -> Scoring:
    """All that methods need."""
    params, checkpoint = project.params, project.predictor_file
    shipped, card = load_predictor(checkpoint, device())
    shipped_id = file_id(checkpoint)
    return Scoring(
        ScoreDatabase(project.scores),
        Settings(
            params.predictor,
            params.distillation,
            params.seed,
            str(device()),
            proxies=project.proxies,
            workers=worker_count(device()),
        ),
        partial(source_tasks, project),
        # The predictor was learned from the source tasks and is another one whenever they are.
        content_id([shipped_id, card.training, card.validation, card.students]),
        project.learned,
        shipped,
        shipped_id,
    )


def method_seeds(project: Project, name: str) -> list[int]:
    """The seeds of a method: several of one whose learning hangs on it."""
    count = project.params.evaluation.seeds if CATALOGUE[name].varies else 1
    return [project.params.seed + index for index in range(count)]


@task(cache_policy=NO_CACHE, name="distil picks")
def distil_picks(project: Project, target: EvaluatedTarget) -> None:
    """Distil what the methods picked, each architecture and seed once, whoever picked it."""
    jobs = [job for job in wanted_picks(project, target) if not is_distilled(project, target, job)]
    if jobs:
        load = partial(target_data, project, target.name)
        with workers(device()) as pool:
            fill_database(project, StudentDatabase(project.picks), jobs, load, target.task.teacher.cpu(), pool)
        target.task.teacher.to(device())


def target_picks(project: Project, target: EvaluatedTarget) -> list[Pick]:
    """What each method of `evaluation.picks` picks; the search's own, which is distilled anyway, in front."""
    scores = ScoreDatabase(project.scores).read(target.name)
    names = list(dict.fromkeys([searcher(target.search), *project.params.evaluation.picks]))
    return picks_of(names, scores, target.search, project.params.seed)


def wanted_picks(project: Project, target: EvaluatedTarget) -> list[StudentJob]:
    """The students that the picks of `evaluation.picks` come to."""
    block = project.params.evaluation
    seeds = [project.params.seed + index for index in range(block.pick_seeds)]
    picks = [pick.candidate.architecture for pick in target_picks(project, target) if pick.method in block.picks]
    return [StudentJob(architecture, seed) for architecture in dict.fromkeys(picks) for seed in seeds]


def is_distilled(project: Project, target: EvaluatedTarget, job: StudentJob) -> bool:
    """Whether the student is there already: as the search's pick, or among the target's students."""
    _, student = load_student(project.student_file(target.name))
    if (job.architecture, job.seed) == (student.architecture, student.seed):
        return True
    return (job.architecture.arch_id, job.seed) in pick_records(project, target)


def show(scores: Sequence[Scores]) -> None:
    """Put on the run's page what was scored, and what could not be."""
    rows = [
        {
            "method": item.method, "target": item.target, "sample": item.sample, "seed": item.seed,
            "ms per architecture": round(1000 * item.seconds, 2) if not item.failure and item.values else "",
            "failure": item.failure,
        }
        for item in scores
    ]  # fmt: skip
    create_table_artifact(rows, key="scores", description="Compared methods and what they scored")


if __name__ == "__main__":
    run_stage(rank)
