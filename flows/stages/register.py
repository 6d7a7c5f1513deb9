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
from dass.tracking.lineage import Lineage, lineage
from dass.tracking.predictor_registration import register_adapted
from dass.tracking.promotion import Verdict, make_champion, promote
from dass.tracking.registry import RegisteredVersion, model_card
from dass.tracking.store import Store, open_store
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
    target_task, dataset = stored_target(project, target).open(), project.target(target).dataset
    came_from = lineage(
        project.root,
        [project.target_packed(target), project.target_teacher(target), project.search(target),
         project.distilled(target), *predictors(project, result)],
    )  # fmt: skip
    store = open_store(project.root)
    run_id = log_target(
        store, came_from, teacher=target_task.card, predictor_id=result.predictor_id, candidates=len(result.ranking),
        budget=result.budget, ranking=result.ranking[: project.params.search.top], pick=result.pick,
        latency=result.latency, files=[project.search(target) / "pareto.png"],
    )  # fmt: skip
    path = project.student_file(target)
    version, verdict = file_student(
        store, run_id, project, target_task, path, dataset=dataset, result=result, came_from=came_from
    )
    student = load_student(path)[1]
    write_json(
        project.reports / "targets" / target / "registered.json",
        {
            "model": version.name, "version": version.version, "alias": verdict.alias, "reason": verdict.reason,
            "run_id": run_id, "predicted_accuracy": result.predicted,
            "distilled_accuracy": student.final_accuracy, "teacher_accuracy": target_task.card.accuracy,
            "macs": student.macs, "parameters": student.params, "architecture": student.architecture.stage_label,
            "arch_id": student.architecture.arch_id,
        },
    )  # fmt: skip


def predictors(project: Project, result: SearchResult) -> list[Path]:
    """The folders of what ranked a search's candidates."""
    multi_fidelity = [project.multi_fidelity] if result.method == "multi_fidelity" else []
    return [] if result.method == "race" else [project.predictor, *multi_fidelity]


@task(name="file the student", **RECORDING)
def file_student(
    store: Store,
    run_id: str,
    project: Project,
    target_task: Task,
    path: Path,
    *,
    dataset: str,
    result: SearchResult | None,
    came_from: Lineage,
) -> tuple[RegisteredVersion, Verdict]:
    """File the student at `path`, and the adapted predictor that picked it where one did, and judge the student.

    Args:
        store: where.
        run_id: the run that they belong to.
        project: gives recipe and predictor.
        target_task: the student's task.
        path: the student's weights.
        dataset: the task's images, by name.
        result: the search that picked the student; None where a person did.
        came_from: code and data.

    Returns:
        The version, and whether it is champion or challenger and why.
    """
    network, student = load_student(path)
    data, teacher, known_dataset = target_task.data, target_task.card, find_dataset(dataset)
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
        store, run_id, network=network, data=data, card=card, lineage=came_from, teacher=target_task.teacher,
        device=device(), seen=student.data_id == data.data_id,
    )  # fmt: skip
    verdict = promote(store, version)
    if result and result.method == "dass":  # nothing else has an adapted predictor
        adapted = register_adapted(
            store, run_id, checkpoint=project.predictor_file, teacher=target_task.teacher.cpu(),
            teacher_card=teacher, lineage=came_from,
        )  # fmt: skip
        make_champion(store, adapted, "adapted from the present predictor")
    logger().info("%s version %d is %s: %s", version.name, version.version, verdict.alias, verdict.reason)
    create_markdown_artifact(model_card(store, version), key=f"student-{data.name.replace('_', '-')}")
    return version, verdict


if __name__ == "__main__":
    run_stage(register, *sys.argv[1:])
