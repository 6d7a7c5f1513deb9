"""Stage `students`: the student-accuracy database of the source tasks."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.project import Project
from dass.students.record import StudentRecord
from dass.tasks.stored import StoredTask, stored_sources
from dass.tasks.students import student_jobs
from dass.tracking.lineage import lineage
from dass.tracking.stage_runs import log_students
from dass.tracking.store import open_store
from dass.training.workers import Pool
from flows.infrastructure.runtime import run_link
from flows.infrastructure.stage import run_stage
from flows.stages.student_database import fill_database, show_records, student_workers


@flow(name="students")
def students(count: int | None = None) -> None:
    """Distil, for every source task, the sampled students that have no record yet.

    Args:
        count: number of students of each task, at least 1; None for `students.per_source` of params.yaml.
    """
    project = Project.open()
    store = open_store(project.root)
    records, links = {}, []
    with student_workers() as pool:
        for stored in stored_sources(project):
            work = distil_students.with_options(task_run_name=f"students of {stored.name}")
            records[stored.name] = work(stored, count, pool)
            came_from = lineage(project.root, [project.source_teachers, project.splits])
            run_id = log_students(store, came_from, task=stored.name, records=records[stored.name])
            links.append(run_link(store, run_id))
    show_records("source", records, ", ".join(links))


@task(cache_policy=NO_CACHE, name="students of a source task")
def distil_students(stored: StoredTask, count: int | None, pool: Pool) -> list[StudentRecord]:
    """Distil one source task's missing students; each record is on disk as soon as it is there."""
    return fill_database(stored, student_jobs(stored, count), pool)


if __name__ == "__main__":
    run_stage(students)
