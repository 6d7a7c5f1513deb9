"""What a person starts from Prefect's page on a dataset and a teacher of their own.

The server checks the arguments' types before a run exists, and the flow checks the rest before it works. The page's
form shows the descriptions below.
"""

from dataclasses import replace
from typing import Annotated, Literal

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import Field

from dass.config import SearchKind
from dass.errors import UsageError
from dass.project import Project
from dass.scratch import scratch_folder
from dass.search.budget import AskedBudget
from dass.search.constraints import MILLION, AskedLimits
from dass.search.of_project import AskedSearch
from dass.search.result import save_search
from dass.search.summary import constraint_lines
from dass.shrink.whole import Options
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from dass.tracking.runs import file_page
from dass.training.user_teacher import AskedTeacher
from flows.deployments.arguments import (
    ArchitectureJson,
    Count,
    Dataset,
    Latency,
    Macs,
    Percent,
    Seed,
    Size,
    Weights,
    Words,
)
from flows.deployments.shrink import shrink_here
from flows.deployments.user_task import open_user_task, record_distilled, record_search, record_student, user_files
from flows.infrastructure.runtime import logger, run_link
from flows.infrastructure.stage import begin_run
from flows.stages.distil import distil_one
from flows.stages.register import file_student
from flows.stages.search import draw, rank_candidates, show, show_picture


@flow(name="search-students", flow_run_name="search-{dataset}")
def search_students(
    dataset: Dataset,
    teacher: Weights,
    max_macs: Macs | None = None,
    max_params: Macs | None = None,
    candidates: Count | None = None,
    top: Annotated[int, Field(ge=1, le=1000)] = 10,
    seed: Seed = 0,
    then: Literal["rank", "distil", "register"] = "rank",
    method: SearchKind | None = None,
    seconds: Annotated[float, Field(gt=0, le=1e6)] | None = None,
    normalization: Words | None = None,
    classes: Words | None = None,
    expect_accuracy: Percent | None = None,
    layout: Words | None = None,
    min_macs: Macs | None = None,
    min_params: Macs | None = None,
    max_size: Size | None = None,
    max_latency: Latency | None = None,
    latency_batch: Annotated[int, Field(ge=1, le=4096)] = 1,
    keep_accuracy: Percent | None = None,
    keep_probability: Annotated[float, Field(gt=0, lt=1)] | None = None,
    minutes: Annotated[float, Field(ge=0.1, le=10_000)] | None = None,
) -> None:
    """Rank students for a dataset and a teacher trained on it, within limits.

    Args:
        dataset: Name of a packed dataset, such as digits; or path, on the worker's machine, of a folder, zip or tar
            with train/CLASS/* and test/CLASS/*.
        teacher: Path, on the worker's machine, of the teacher's weights. It must be the largest network of the
            search space, but for the method `race`.
        max_macs: Most that a student may cost, in millions of multiply-accumulates per image, or as a share of
            the teacher's such as 40%.
        max_params: Most that a student may weigh, in millions of parameters, or as a share.
        candidates: Architectures to draw within the limits and to score. Empty for the number in params.yaml.
        top: How many of the ranking to show.
        seed: Of the draw, and of the distillation.
        then: Stop at the ranking; or distil the best student too; or also register it, and make it champion if it is
            better than the present one.
        method: `dass` predicts from the response to noise; `multi_fidelity` also tries the promising ones for a moment
            and gives intervals; `race` trains some, lets the better half go on, and takes teachers of any family. Empty
            for the method of params.yaml.
        seconds: How long a search by the multi-fidelity predictor or a race may take: as many are tried as fit. Empty
            for what params.yaml says.
        normalization: What the teacher expects of its images: half, unit, imagenet, cifar10, cifar100, or six numbers
            with commas. Empty for what its file or its family says.
        classes: Path, on the worker's machine, of a text file with the teacher's class names, one a line. Empty for
            names in its file, else alphabetical order.
        expect_accuracy: Percent of the test images that the teacher should reach. Empty for anything above chance.
        layout: Strides and pools that its weights cannot tell, such as stem_stride=1,max_pool=no. Empty for the rule.
        min_macs: Least that a student must cost, as max_macs. Empty for no limit.
        min_params: Least that a student must weigh, as max_params. Empty for no limit.
        max_size: Largest file of the student's weights, such as 1MB or 300kB; a number is of megabytes.
        max_latency: Longest forward pass on the worker's device, such as 5ms; a number is of milliseconds. The pick is
            measured, and gives way to the next if it is slower.
        latency_batch: Images in that forward pass.
        keep_accuracy: Points that the student may lose against its teacher: the smallest student that loses no more
            is picked. Not for the method `race`, which predicts nothing, unless there are `minutes`.
        keep_probability: How likely it has to be that the student loses no more, between 0 and 1. Empty for 0.8.
        minutes: Do all that `dass shrink` does in so many minutes: a race for a teacher of any family, the best few
            distilled, one chosen by held-out images, registered, exported and described on a page. `candidates`,
            `top`, `method`, `seconds`, `then`, `min_macs` and `min_params` are then left as they are.
    """
    begin_run()
    project = Project.open()
    limits = AskedLimits(
        max_macs, max_params, min_macs, min_params, max_size, max_latency, latency_batch, keep_accuracy,
        keep_probability,
    )  # fmt: skip
    limits.check()  # before any work
    theirs = AskedTeacher(teacher, normalization, classes, expect_accuracy, layout)
    if minutes is not None:
        odd = {"candidates": candidates, "method": method, "seconds": seconds, "min_macs": min_macs}
        odd |= {"min_params": min_params, "then": None if then == "rank" else then}
        if left := [name for name, value in odd.items() if value is not None]:
            raise UsageError(f"{', '.join(left)}: not together with minutes")
        theirs = replace(theirs, path=str(project.root / teacher), classes=classes and str(project.root / classes))
        side = project.params.data.resolution
        for line in shrink_here(Options(dataset, theirs, limits, minutes, None, side, seed), project.root):
            logger().info(line)
        return
    block = project.params.search
    asked = AskedSearch(method or block.method, AskedBudget(candidates or block.candidates, seconds=seconds), seed)
    stage, file = (
        ("multi_fidelity", project.multi_fidelity_file)
        if asked.kind == "multi_fidelity"
        else ("meta_train", project.predictor_file)
    )
    if asked.kind != "race" and not file.exists():
        raise UsageError(f"there is no {file.stem} yet: run `pipeline` until {stage} first")
    if asked.kind == "race" and keep_accuracy is not None:
        raise UsageError("keep_accuracy: a race predicts nothing; choose the method multi_fidelity or dass")
    with (
        open_user_task(project, dataset, theirs.read(project.root), any_family=asked.kind == "race") as target,
        scratch_folder() as folder,
    ):
        found = rank_candidates(project, target, limits.constraints(target.teacher_cost), asked)
        save_search(folder / "search.json", found)
        picture = draw(target, found, folder / "pareto.png")
        show(found, top)
        inputs = [*user_files(project, target, teacher), *project.predictors(found.method)]
        run = record_search(project, target, found, top=top, folder=folder, inputs=inputs)
        show_picture(found, file_page(run.store, run.run_id, "pareto.png") or picture)
        name, fidelity = target.name, found.pick.fidelity
        after_training = f"of held-out training images after {fidelity.label if fidelity else 'no steps'}"
        lines = [
            f"Best of {len(found.ranking)} candidates for {name} ({found.constraints}): "
            f"**{found.pick.predicted:.2f}%** {'predicted' if found.predictor_id else after_training} at "
            f"{found.pick.cost.macs / MILLION:.2f} M MACs, teacher {target.card.accuracy:.2f}%.",
            *constraint_lines(found),
            run_link(run.store, run.run_id),
        ]
        if then != "rank":
            path = folder / f"{name}.safetensors"
            record = distil_one(project, target, found.pick.architecture, seed, path)
            record_student(run, record, path)
            lines.append(f"Distilled: **{record.final_accuracy:.2f}%** of the test images.")
        if then == "register":
            version, verdict = file_student(run, project, target, path, dataset=name, result=found)
            lines.append(f"`{version.uri}` is {verdict.alias}: {verdict.reason}.")
        create_markdown_artifact("\n\n".join(lines), key=f"search-{name.replace('_', '-')}")


@flow(name="distil-student", flow_run_name="distil-{dataset}")
def distil_chosen(
    dataset: Dataset,
    teacher: Weights,
    architecture: ArchitectureJson,
    seed: Seed = 0,
    then: Literal["distil", "register"] = "distil",
    normalization: Words | None = None,
    classes: Words | None = None,
    expect_accuracy: Percent | None = None,
) -> None:
    """Distil one student of a teacher, from its remapped start, by the recipe of params.yaml.

    Args:
        dataset: Name of a packed dataset; or path, on the worker's machine, of a folder, zip or tar of images.
        teacher: Path, on the worker's machine, of the teacher's weights, .safetensors or .pt.
        architecture: The student, as the last column of a ranking shows it: {"widths": [[4], [8], [8], [16]]}.
        seed: Of batch order and augmentation.
        then: Only distil it; or also register it, and make it champion if it is better than the present one.
        normalization: What the teacher expects of its images, as in `search-students`.
        classes: Path of a text file with the teacher's class names, as in `search-students`.
        expect_accuracy: Percent of the test images that the teacher should reach. Empty for anything above chance.
    """
    begin_run()
    project = Project.open()
    student = Architecture.from_json(architecture)
    SearchSpace.from_config(project.params.space).check(student)
    theirs = AskedTeacher(teacher, normalization, classes, expect_accuracy)
    with open_user_task(project, dataset, theirs.read(project.root)) as target, scratch_folder() as folder:
        name = target.name
        path = folder / f"{name}.safetensors"
        record = distil_one(project, target, student, seed, path)
        run = record_distilled(project, record, path, user_files(project, target, teacher))
        lines = [
            f"{student.stage_label} reached **{record.final_accuracy:.2f}%** of {name}'s test images; its teacher "
            f"has {target.card.accuracy:.2f}%, its remapped start had {record.init_accuracy:.2f}%.",
            run_link(run.store, run.run_id),
        ]
        if then == "register":
            version, verdict = file_student(run, project, target, path, dataset=name, result=None)
            lines.append(f"`{version.uri}` is {verdict.alias}: {verdict.reason}.")
        create_markdown_artifact("\n\n".join(lines), key=f"distil-{name.replace('_', '-')}")
