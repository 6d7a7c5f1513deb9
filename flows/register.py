"""Stage `register`: the distilled student, filed in MLflow's registry and judged against the champion."""

import sys

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from dass.datasets.catalogue import find_dataset
from dass.files import write_json
from dass.networks.checkpoint import load_card, load_teacher
from dass.project import Project
from dass.search.run import load_search
from dass.students.trained import load_student
from dass.tracking.lineage import lineage
from dass.tracking.predictor_registration import register_adapted
from dass.tracking.promotion import crown, promote
from dass.tracking.store import open_store
from dass.tracking.student_card import StudentCard
from dass.tracking.student_registration import register_student
from dass.tracking.target_runs import log_target
from flows.meta_train import CHECKPOINT
from flows.runtime import logger
from flows.stage import run_stage
from flows.teacher import target_data


@flow(name="register", flow_run_name="register-{target}")
def register(target: str) -> None:
    """Record the target's search as a run, file its student, and let it become champion if it is better."""
    project = Project.open()
    found = load_search(project.search(target) / "search.json")
    network, student = load_student(project.distilled(target) / f"{target}.safetensors")
    teacher = load_card(project.target_teacher(target) / f"{target}.safetensors")
    data, dataset = target_data(project, target), project.target(target).dataset
    came_from = lineage(
        project.root,
        [project.packed(dataset), project.target_teacher(target), project.search(target), project.distilled(target),
         project.predictor],
    )  # fmt: skip
    store = open_store(project.root)
    run_id = log_target(
        store, came_from, teacher=teacher, predictor_id=found.predictor_id, candidates=len(found.ranking),
        budget=found.budget, ranking=found.ranking[: project.params.search.top], pick=found.pick,
        files=[project.search(target) / "pareto.png"],
    )  # fmt: skip
    known = find_dataset(dataset)
    card = StudentCard(
        target=target, dataset=dataset, data_id=student.data_id, classes=data.classes, resolution=data.resolution,
        architecture=student.architecture, macs=student.macs, parameters=student.params,
        teacher_id=student.teacher_id, teacher_accuracy=teacher.accuracy, predictor_id=found.predictor_id,
        predicted_accuracy=found.pick.predicted, distilled_accuracy=student.final_accuracy,
        test_images=len(data.test_labels), recipe=project.params.distillation.for_images(len(data.train_labels)),
        recipe_id=student.recipe_id, seed=student.seed,
        licence=known.licence if known else "the user's own data",
    )  # fmt: skip
    version = register_student(store, run_id, network=network, data=data, card=card, lineage=came_from)
    verdict = promote(store, version)
    adapted = register_adapted(
        store, run_id, checkpoint=project.predictor / CHECKPOINT, lineage=came_from,
        teacher=load_teacher(project.target_teacher(target) / f"{target}.safetensors")[0], teacher_card=teacher,
    )  # fmt: skip
    crown(store, adapted, "adapted from the present predictor")
    logger().info("%s version %d is %s: %s", version.name, version.version, verdict.alias, verdict.reason)
    create_markdown_artifact(card.markdown(version.name), key=f"student-{target.replace('_', '-')}")
    write_json(
        project.reports / "targets" / target / "registered.json",
        {
            "model": version.name, "version": version.version, "alias": verdict.alias, "reason": verdict.reason,
            "run_id": version.run_id, "predicted_accuracy": found.pick.predicted,
            "distilled_accuracy": student.final_accuracy, "teacher_accuracy": teacher.accuracy, "macs": student.macs,
            "parameters": student.params, "architecture": student.architecture.stage_label,
            "arch_id": student.architecture.arch_id,
        },
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(register, *sys.argv[1:])
