"""Where a student that was shrunk lies: registry, weights, ONNX; and how fast it is here."""

from dataclasses import dataclass
from pathlib import Path

import torch

from dass.datasets.task_data import TaskData
from dass.device import timed_on
from dass.errors import UsageError
from dass.evaluation.plots import save
from dass.search.latency import measure_latency
from dass.shrink.front import front_figure
from dass.shrink.recipe import shrink_recipe
from dass.shrink.shrink import Shrunk
from dass.space.architecture import Architecture
from dass.students.onnx_export import export_onnx
from dass.students.onnx_int8 import MAX_LOSS, Quantised, WorseError, export_int8, int8_path, spread
from dass.tasks.task import Task
from dass.tracking.lineage import lineage
from dass.tracking.promotion import promote
from dass.tracking.registry import add_metrics
from dass.tracking.store import open_store
from dass.tracking.student_card import StudentCard
from dass.tracking.student_registration import register_student, task_name_for
from dass.tracking.target_runs import add_student, log_target
from dass.training.calibration import calibrate

BATCHES = (1, 32)


@dataclass(frozen=True)
class Filed:
    """Where a student lies.

    Attributes:
        model: its version in the registry, `models:/name/version`.
        alias: `champion`, or `challenger` where another student of the task is better.
        reason: reason for the alias, in one sentence.
        weights: its safetensors file.
        onnx: its ONNX files, that of 8-bit integers the second; none where the extra is not installed.
        tracking: address of the registry.
        teacher_latency: milliseconds of the teacher on this device, for batches of 1 and 32.
        student_latency: milliseconds of one forward pass of the student, for batches of 1 and 32.
        run_id: id of the run in the registry that they belong to.
        timed_on: what latency was measured on.
        int8: what the file of 8-bit integers reaches beside the other, in words; empty where there is no ONNX.
    """

    model: str
    alias: str
    reason: str
    weights: Path
    onnx: tuple[Path, ...]
    tracking: str
    teacher_latency: tuple[float, float]
    student_latency: tuple[float, float]
    run_id: str = ""
    timed_on: str = ""
    int8: str = ""

    def places(self) -> list[tuple[str, str]]:
        """What lies where."""
        onnx = ", ".join(map(str, self.onnx)) or "not written: install the extra with pip install -e '.[onnx]'"
        return [
            ("registered model", f"{self.model} ({self.alias}: {self.reason})"),
            ("weights", str(self.weights)),
            ("ONNX", onnx),
            *([("8-bit integers", self.int8)] if self.int8 else []),
        ]

    def usage(self) -> str:
        """Lines of Python that load the student."""
        return (
            "import mlflow\n"
            f'mlflow.set_tracking_uri("{self.tracking}")\n'
            f'student = mlflow.pyfunc.load_model("{self.model}")\n'
            "student.predict(images)  # arrays, JPEG or PNG bytes, base64 text -> class, probability and all classes"
        )


def file_student(task: Task, shrunk: Shrunk, root: Path, folder: Path, device: torch.device) -> Filed:
    """Registers the chosen student, exports it where that is possible, and times it beside its teacher.

    Args:
        task: task with its images and its teacher.
        shrunk: result of the shrinking.
        root: the project, whose registry is used.
        folder: where the ONNX files and the picture of the front go.
        device: device that latency is measured on.

    Raises:
        DassError: the registry cannot be written, or ONNX and torch disagree.
    """
    chosen, data, search = shrunk.chosen, task.data, shrunk.search
    weights = shrunk.distilled[0].path
    store, came_from = open_store(root), lineage(root, [])
    name = task_name_for(store, data.name, data.classes)
    save(front_figure(task, shrunk), picture := folder / "front.png")
    run_id = log_target(
        store, came_from, teacher=task.card, found=search, top=len(search.ranking), seconds=shrunk.seconds,
        files=[picture],
    )  # fmt: skip
    add_student(store, run_id, accuracy=shrunk.test.accuracy, files=[weights, weights.with_suffix(".json")])
    card = StudentCard(
        target=name, dataset=data.name, data_id=data.data_id, classes=data.classes, resolution=data.resolution,
        architecture=chosen.architecture, macs=chosen.macs, parameters=chosen.params, teacher_id=chosen.teacher_id,
        teacher_accuracy=task.card.accuracy, predictor_id="", predicted_accuracy=None,
        distilled_accuracy=shrunk.test.accuracy, test_images=len(data.test_labels),
        recipe=shrink_recipe(data, shrunk.epochs), recipe_id=chosen.recipe_id, seed=chosen.seed,
        licence="They are the user's own.",
    )  # fmt: skip
    version = register_student(
        store, run_id, network=shrunk.network, data=data, card=card, lineage=came_from, teacher=task.teacher,
        device=device,
    )  # fmt: skip
    verdict = promote(store, version)
    onnx, int8, quantised = _export(shrunk, data, folder)
    if quantised is not None:
        add_metrics(store, version, quantised.metrics(), (data.name, data.data_id))
    teacher_latency, student_latency = (
        _latency(architecture, task, device) for architecture in (task.teacher.architecture, chosen.architecture)
    )
    return Filed(
        version.uri, verdict.alias, verdict.reason, weights, onnx, store.uri, teacher_latency, student_latency,
        run_id, timed_on(device), int8,
    )  # fmt: skip


def add_report(root: Path, run_id: str, report: Path) -> None:
    """Puts the page into the run that the student belongs to, where MLflow shows it.

    Args:
        root: folder of the project.
        run_id: id of the MLflow run.
        report: path of the page.

    Raises:
        DassError: the registry cannot be written.
    """
    store = open_store(root)
    with store.errors(f"add the report to run {run_id}"):
        store.client.log_artifact(run_id, str(report))


def _export(shrunk: Shrunk, data: TaskData, folder: Path) -> tuple[tuple[Path, ...], str, Quantised | None]:
    """The student as ONNX and, where that answers as well, of 8-bit integers; what that one reaches, in words too."""
    file = folder / "student.onnx"
    network = shrunk.network.cpu()
    fit = calibrate(network, data, shrunk.chosen.seed, seen=False)
    try:
        export_onnx(
            network, data.classes, data.resolution, file, temperature=fit.temperature, images=spread(data.test_images)
        )
    except UsageError:  # the extra is not installed
        return (), "", None
    try:
        exported = export_int8(file, data, int8_path(file))
    except WorseError as error:
        return (file,), str(error), None
    lost = -exported.difference > MAX_LOSS  # of so few images, two may be more than a point
    line = (
        f"{exported.int8:.2f}% of {exported.images} test images, float32 {exported.float32:.2f}%: "
        f"{exported.difference:+.2f} points{', MORE than one point lost' if lost else ''}"
    )
    return (file, int8_path(file)), line, exported


def _latency(architecture: Architecture, task: Task, device: torch.device) -> tuple[float, float]:
    one, many = (
        measure_latency(architecture, task.data.resolution, len(task.data.classes), device, batch=batch)
        for batch in BATCHES
    )
    return one, many
