"""Files a distilled student in the registry, after trying the very files that are filed."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.evaluation.answers import Answers
from dass.files import content_id
from dass.networks.checkpoint import weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.tracking.lineage import Lineage
from dass.tracking.registry import ModelPackage, RegisteredVersion, find_version, register_model
from dass.tracking.runs import file_page
from dass.tracking.store import Store
from dass.tracking.student_card import StudentCard
from dass.tracking.student_measures import measure
from dass.tracking.student_model import CLASS, PREFIX, PROBABILITY, StudentModel, load_student_model, save_student_model
from dass.training.calibration import calibrate

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

CORRECT = "test_correct.npy"
FORM = 2  # of what is filed; raised where a student that is filed again shall become a new version


def student_name(target: str) -> str:
    """Name of a target's registered model."""
    return f"dass-student-{target}"


def task_name_for(store: Store, name: str, classes: tuple[str, ...]) -> str:
    """The name under which a task's students are filed: its own, unless another task has it already.

    Two folders of images may have one name. A registered model answers with the classes of one task, so the students
    of a task with other classes are filed under a name that these classes make.

    Args:
        store: tracking store (runs and registry) that is written to.
        name: name of the task.
        classes: class names of the task, in label order.

    Raises:
        DassError: the store failed.
    """
    for candidate in (name, f"{name}-{content_id(classes)[:6]}"):
        classes_filed = _filed_classes(store, student_name(candidate))
        if classes_filed is None or classes_filed == classes:
            break
    return candidate


def _filed_classes(store: Store, name: str) -> tuple[str, ...] | None:
    """Class names of a registered model's first version; None where there is none, or it does not say."""
    import mlflow
    from mlflow.models import get_model_info

    mlflow.set_tracking_uri(store.uri)  # get_model_info takes no address of its own
    with store.errors(f"look up {name}"):
        versions = store.client.search_model_versions(f"name = '{name}'")
        if not versions:
            return None
        first = min(versions, key=lambda version: int(version.version))
        signature = get_model_info(f"models:/{name}/{first.version}").signature
    outputs = signature.outputs.input_names() if signature and signature.outputs else []
    return tuple(one.removeprefix(PREFIX) for one in outputs if one.startswith(PREFIX)) or None


def register_student(
    store: Store,
    run_id: str,
    *,
    network: ElasticResNet,
    data: TaskData,
    card: StudentCard,
    lineage: Lineage,
    teacher: ElasticResNet | None = None,
    device: torch.device | None = None,
    seen: bool = False,
) -> RegisteredVersion:
    """Files a student as a new version of `dass-student-<target>`, without an alias: `promote` gives it one.

    The test images are classified by the very files that are filed, on the CPU in float32; which of them were
    right is kept with the version, so that versions can be compared image by image.

    Args:
        store: tracking store (runs and registry) that is written to.
        run_id: id of the target's MLflow run.
        network: network of the student.
        data: images and labels of the student's task, on the CPU.
        card: card with the facts about it.
        lineage: code and data that it came from.
        teacher: for what the card compares; is moved to `device`.
        device: device that latency is measured on; None for the CPU.
        seen: whether it was distilled on all training images, those included that `held_out` takes for its seed.

    Returns:
        The version; the one that is there already where the same student was filed before.

    Raises:
        DassError: card, data and weights do not belong together, or the store failed.
    """
    if card.data_id != data.data_id or card.classes != data.classes:
        raise DassError(f"student of {card.target}: the card is about data {card.data_id}, not {data.data_id}")
    name = student_name(card.target)
    # Two that set one tag at once both insert a row, and the second fails.
    with store.alone(f"run {run_id}"), store.errors(f"name the student in run {run_id}"):
        store.client.set_tag(run_id, "student_arch_id", card.architecture.arch_id)
    key = content_id([FORM, weights_id(network), card.identity])
    present = find_version(store, name, key)
    if present is not None:
        return present
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "student"
        fit = calibrate(network, data, card.seed, seen=seen)
        save_student_model(folder, network, data.classes, data.resolution, fit.temperature)
        student = load_student_model(folder)
        images = data.test_images.permute(0, 2, 3, 1).numpy()
        answers = Answers(data.classes, student.probabilities(images), data.test_labels.numpy())
        _check_accuracy(card, answers.correct)
        np.save(folder / CORRECT, answers.correct)
        measures = measure(
            student.network,
            answers,
            fit,
            data=data,
            teacher=teacher,
            device=device or torch.device("cpu"),
        )
        card = replace(card, measures=measures, pictures=_add_pictures(store, run_id, folder, answers, images, name))
        package = ModelPackage(
            loader="dass.tracking.student_model",
            folder=folder,
            signature=_signature(student),
            example=np.ascontiguousarray(images[:2]),
            requirements=("pillow", "pydantic"),
            metrics={**measures.metrics(), "macs": card.macs, "parameters": card.parameters},
            dataset=(card.dataset, card.data_id),
        )
        return register_model(
            store,
            run_id,
            name,
            key=key,
            package=package,
            about=f"Small image classifiers distilled for the task `{card.target}`; `@champion` is the one to use.",
            card=card.markdown(name),
            tags=card.tags(),
            lineage=lineage,
        )


def _add_pictures(
    store: Store, run_id: str, folder: Path, answers: Answers, images: NDArray[np.uint8], name: str
) -> tuple[tuple[str, str], ...]:
    """Puts pictures of the answers among the model's files and those of the run; gives their addresses, if any."""
    from dass.evaluation.answer_plots import confusion_matrix, mistakes_grid
    from dass.evaluation.plots import save

    figures = {
        "confusion.png": ("confusion matrix", confusion_matrix(answers, f"{name}: share of each row")),
        "mistakes.png": ("surest mistakes", mistakes_grid(answers, images, f"{name}: its surest mistakes")),
    }
    shown = []
    for file, (what, figure) in figures.items():
        save(figure, folder / file)
        with store.errors(f"add {file} to run {run_id}"):
            store.client.log_artifact(run_id, str(folder / file))
        if address := file_page(store, run_id, file):
            shown.append((what, address))
    return tuple(shown)


def _signature(student: StudentModel) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec

    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, CLASS), ColSpec(DataType.double, PROBABILITY)]
    outputs += [ColSpec(DataType.double, f"{PREFIX}{name}") for name in student.classes]
    # No schema of the input: MLflow's server would cast numbers to it, and so make pixels of 0..1 black, before the
    # model sees them. `StudentModel.predict` checks more than a schema can.
    return ModelSignature(outputs=Schema(outputs))


def _check_accuracy(card: StudentCard, correct: NDArray[np.bool_]) -> None:
    """Refuses weights that are not the card's: training may have evaluated in bfloat16, so a little may differ."""
    if len(correct) != card.test_images:
        raise DassError(f"student of {card.target}: the card counts {card.test_images} test images, not {len(correct)}")
    measured = 100 * float(correct.mean())
    if abs(measured - card.distilled_accuracy) > max(1.0, 2 * card.standard_error):
        raise DassError(
            f"student of {card.target}: its weights reach {measured:.2f} % here, its record says "
            f"{card.distilled_accuracy:.2f} %: they are not the same student; distil it again"
        )
