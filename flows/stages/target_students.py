"""Stage `target_students`: really distilled students of one target, where its true ranking is wanted."""

import sys

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from dass.networks.checkpoint import load_card
from dass.project import Project
from dass.students.record import StudentRecord
from dass.tasks.stored import StoredTask, stored_target
from dass.tasks.students import student_jobs
from dass.tracking.lineage import lineage
from dass.tracking.stage_runs import log_students
from dass.tracking.store import open_store
from dass.training.teacher_doubt import outdone
from flows.infrastructure.runtime import logger, run_link
from flows.infrastructure.stage import run_stage
from flows.stages.student_database import fill_database, show_records, student_workers


@flow(name="target-students", flow_run_name="students-{target}")
def target_students(target: str, count: int | None = None) -> None:
    """Distil the target's sampled students that have no record yet; the same architectures for every target.

    Args:
        target: its name in params.yaml.
        count: students; None for `students.per_target` of params.yaml, where the target is to be evaluated at all.
    """
    project = Project.open()
    project.target_students(target).mkdir(parents=True, exist_ok=True)
    if count or project.target(target).evaluate:
        records = distil_students(stored_target(project, target), count)
        inputs = [project.target_teacher(target), project.target_packed(target)]
        store = open_store(project.root)
        run_id = log_students(store, lineage(project.root, inputs), task=target, records=records)
        show_records(target, {target: records}, run_link(store, run_id))


@task(cache_policy=NO_CACHE, name="students of a target")
def distil_students(stored: StoredTask, count: int | None) -> list[StudentRecord]:
    """Distil the target's missing students; each record is on disk as soon as it is there."""
    with student_workers() as pool:
        records = fill_database(stored, student_jobs(stored, count), pool)
    best = max((record.final_accuracy for record in records if not record.failure), default=0.0)
    if doubt := outdone(load_card(stored.teacher_file), best, len(stored.load().test_labels)):
        logger().warning(doubt)
    return records


if __name__ == "__main__":
    run_stage(target_students, *sys.argv[1:])
