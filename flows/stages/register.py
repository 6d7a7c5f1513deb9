"""Stage `register`: the distilled student, filed in MLflow's registry and judged against the champion."""

import sys
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact

from dass.datasets.catalogue import find_dataset
from dass.files import write_json
from dass.project import Project
from dass.search.result import SearchResult, load_search
from dass.students.trained import load_student
from dass.tasks.stored import stored_target
from dass.tasks.task import Task
from dass.tracking.lineage import lineage
from dass.tracking.predictor_registration import register_adapted
from dass.tracking.promotion import Verdict, make_champion, promote
from dass.tracking.registry import RegisteredVersion, model_card
from dass.tracking.runs import RecordedRun
from dass.tracking.store import open_store
from dass.tracking.student_card import StudentCard
from dass.tracking.student_registration import register_student
from dass.tracking.target_runs import log_target
from flows.infrastructure.runtime import RECORDING, logger
from flows.infrastructure.stage import run_stage
from flows.stages.compute import device


@flow(name="register", flow_run_name="register-{target}")
def register(target: str) -> None:
    """Record the target's search as a run, file its student, and let it become champion if it is better."""
    project = Project.open()
    result = load_search(project.search_file(target))
    opened, dataset = stored_target(project, target).open(), project.target(target).dataset
    came_from = lineage(
        project.root,
        [project.target_packed(target), project.target_teacher(target), project.search(target),
         project.distilled(target), *project.predictors(result.method)],
    )  # fmt: skip
    store, picture = open_store(project.root), project.search(target) / "pareto.png"
    run_id = log_target(
        store, came_from, teacher=opened.card, found=result, top=project.params.search.top, files=[picture]
    )
    path = project.student_file(target)
    run = RecordedRun(store, run_id, came_from)
    version, verdict = file_student(run, project, opened, path, dataset=dataset, result=result)
    student = load_student(path)[1]
    write_json(
        project.reports / "targets" / target / "registered.json",
        {
            "model": version.name, "version": version.version, "alias": verdict.alias, "reason": verdict.reason,
            "run_id": run_id, "predicted_accuracy": result.predicted,
            "distilled_accuracy": student.final_accuracy, "teacher_accuracy": opened.card.accuracy,
            "macs": student.macs, "parameters": student.params, "architecture": student.architecture.stage_label,
            "arch_id": student.architecture.arch_id,
        },
    )  # fmt: skip


@task(name="file the student", **RECORDING)
def file_student(
    run: RecordedRun, project: Project, target: Task, path: Path, *, dataset: str, result: SearchResult | None
) -> tuple[RegisteredVersion, Verdict]:
    """File the student at `path`, and the adapted predictor that picked it where one did, and judge the student.

    Args:
        run: the run that student and predictor belong to.
        project: project, whose recipe the card gets and whose predictor is adapted.
        target: task that the student was distilled for.
        path: path of the student's weights.
        dataset: name of the task's images.
        result: the search that picked the student; None where a person did.

    Returns:
        The version, and whether it is champion or challenger and why.
    """
    network, student = load_student(path)
    data, teacher, known_dataset = target.data, target.card, find_dataset(dataset)
    card = StudentCard(
        target=data.name, dataset=dataset, data_id=student.data_id, classes=data.classes, resolution=data.resolution,
        architecture=student.architecture, macs=student.macs, parameters=student.params,
        teacher_id=student.teacher_id, teacher_accuracy=teacher.accuracy,
        predictor_id=result.predictor_id if result else "", predicted_accuracy=result.predicted if result else None,
        distilled_accuracy=student.final_accuracy, test_images=len(data.test_labels),
        recipe=project.params.distillation.for_images(len(data.train_labels)), recipe_id=student.recipe_id,
        seed=student.seed, licence=known_dataset.licence if known_dataset else "They are the user's own.",
    )  # fmt: skip
    version = register_student(
        run.store, run.run_id, network=network, data=data, card=card, lineage=run.lineage, teacher=target.teacher,
        device=device(), seen=student.data_id == data.data_id,
    )  # fmt: skip
    verdict = promote(run.store, version)
    if result and result.method == "dass":  # nothing else has an adapted predictor
        adapted = register_adapted(
            run.store, run.run_id, checkpoint=project.predictor_file, teacher=target.teacher.cpu(),
            teacher_card=teacher, lineage=run.lineage,
        )  # fmt: skip
        make_champion(run.store, adapted, "adapted from the present predictor")
    logger().info("%s version %d is %s: %s", version.name, version.version, verdict.alias, verdict.reason)
    create_markdown_artifact(model_card(run.store, version), key=f"student-{data.name.replace('_', '-')}")
    return version, verdict


if __name__ == "__main__":
    run_stage(register, *sys.argv[1:])
