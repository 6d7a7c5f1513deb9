"""Stage `students`: the student-accuracy database of the source tasks."""

from functools import partial

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.datasets.splits import Split, load_split
from dass.networks.checkpoint import load_teacher
from dass.project import Project
from dass.space.search_space import SearchSpace
from dass.students.database import StudentDatabase
from dass.students.plan import source_jobs
from dass.students.record import StudentRecord
from dass.tracking.lineage import lineage
from dass.tracking.stage_runs import log_students
from dass.tracking.store import open_store
from dass.training.workers import Pool
from flows.database import fill_database, show_records, student_workers
from flows.runtime import run_link
from flows.splits import source_splits
from flows.stage import run_stage


@flow(name="students")
def students(count: int | None = None) -> None:
    """Distil, for every source task, the sampled students that have no record yet.

    Args:
        count: students of each task; None for `students.per_source` of params.yaml.
    """
    project = Project.open()
    store = open_store(project.root)
    records, links = {}, []
    with student_workers() as pool:
        for split in source_splits(project):
            work = distil_students.with_options(task_run_name=f"students of {split.name}")
            records[split.name] = work(project, split, count or project.params.students.per_source, pool)
            came_from = lineage(project.root, [project.source_teachers, project.splits])
            links.append(run_link(store, log_students(store, came_from, task=split.name, records=records[split.name])))
    show_records("source", records, ", ".join(links))


@task(cache_policy=NO_CACHE, name="students of a source task")
def distil_students(project: Project, split: Split, count: int, pool: Pool) -> list[StudentRecord]:
    """Distil one source task's missing students; each record is on disk as soon as it is there."""
    jobs = source_jobs(SearchSpace.from_config(project.params.space), count, project.params.seed, split.name)
    load = partial(load_split, project.packed(split.dataset), split)
    teacher, _ = load_teacher(project.source_teacher_file(split.name))
    return fill_database(project, StudentDatabase(project.source_students), jobs, load, teacher, pool)


if __name__ == "__main__":
    run_stage(students)
