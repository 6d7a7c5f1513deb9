"""Files students and predictors in MLflow's registry, each version with what it takes to trust and rebuild it."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import dass
from dass.datasets.task_data import TaskData
from dass.errors import DassError
from dass.files import content_id, write_json, write_text
from dass.networks.checkpoint import teacher_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.tracking.lineage import Lineage
from dass.tracking.runs import KEY
from dass.tracking.store import Store, import_quietly, quiet
from dass.tracking.student_card import StudentCard
from dass.tracking.student_model import CLASS, PREFIX, PROBABILITY, StudentModel, load_student, save_student

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

CHAMPION, CHALLENGER = "champion", "challenger"
CORRECT, CARD = "test_correct.npy", "card.md"
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "safetensors", "torch")


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model.

    Attributes:
        name: of the model.
        version: its number, from 1.
        run_id: the run that it belongs to.
    """

    name: str
    version: int
    run_id: str

    @property
    def uri(self) -> str:
        """Where MLflow loads it from."""
        return f"models:/{self.name}/{self.version}"


def student_name(target: str) -> str:
    """Name of a target's registered model."""
    return f"dass-student-{target}"


def register_student(
    store: Store, run_id: str, *, network: ElasticResNet, data: TaskData, card: StudentCard, lineage: Lineage
) -> RegisteredVersion:
    """Files a student as a new version of `dass-student-<target>`, without an alias: `promote` gives it one.

    The test images are classified by the very files that are filed, on the CPU in float32; which of them were
    right is kept with the version, so that versions can be compared image by image.

    Args:
        store: where.
        run_id: the target's run.
        network: the student.
        data: its task.
        card: what is known about it.
        lineage: code and data that it came from.

    Returns:
        The version; the one that is there already where the same student was filed before.

    Raises:
        DassError: card, data and weights do not belong together, or the store failed.
    """
    if card.data_id != data.data_id or card.classes != data.classes:
        raise DassError(f"student of {card.target}: the card is about data {card.data_id}, not {data.data_id}")
    name = student_name(card.target)
    key = content_id([teacher_id(network), sorted(card.tags().items())])
    found = find_version(store, name, key)
    if found is not None:
        return found
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "student"
        save_student(folder, network, data.classes, data.resolution)
        student = load_student(folder)
        images = data.test_images.permute(0, 2, 3, 1).numpy()
        correct = student.probabilities(images).argmax(axis=1) == data.test_labels.numpy()
        _check_accuracy(card, correct)
        np.save(folder / CORRECT, correct)
        write_text(folder / CARD, card.markdown(name))
        write_json(folder / "card.json", card.tags() | lineage.tags())
        with store.errors(f"register {name}"):
            return register_model(
                store,
                run_id,
                name,
                loader="dass.tracking.student_model",
                folder=folder,
                signature=_student_signature(student),
                example=np.ascontiguousarray(images[:2]),
                requirements=_REQUIREMENTS,
                description=card.markdown(name),
                tags={**card.tags(), **lineage.tags(), KEY: key},
            )


def register_model(
    store: Store,
    run_id: str,
    name: str,
    *,
    loader: str,
    folder: Path,
    signature: "ModelSignature",
    example: NDArray[np.uint8] | Mapping[str, NDArray[np.float32]],
    requirements: tuple[str, ...],
    description: str,
    tags: Mapping[str, str],
) -> RegisteredVersion:
    """Packs a folder as an MLflow model that belongs to a run, and registers it.

    The version appears last and whole: a kill before leaves a model that no version names.

    Args:
        store: where.
        run_id: the run it belongs to.
        name: of the registered model, made when missing.
        loader: module of this package whose `_load_pyfunc` reads the folder; a copy of the package goes with it.
        folder: the model's files.
        signature: what goes in and comes out.
        example: input, kept with the model.
        requirements: packages that loading needs, pinned to what is installed here.
        description: Markdown.
        tags: of the version.
    """
    import_quietly("mlflow.pyfunc")
    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import Model

    experiment = store.client.get_run(run_id).info.experiment_id
    model = store.client.create_logged_model(experiment, name=name, source_run_id=run_id, model_type="dass")
    with tempfile.TemporaryDirectory() as temporary, quiet("mlflow.pyfunc"):
        mlflow.pyfunc.save_model(
            path=temporary,
            loader_module=loader,
            data_path=str(folder),
            code_paths=[str(Path(dass.__file__).parent)],
            mlflow_model=Model(model_id=model.model_id, model_uuid=model.model_id, run_id=run_id),
            signature=signature,
            input_example=example,
            # Given, not inferred: inference starts a process and loads the model; "+cpu" exists on no public index.
            pip_requirements=[f"{package}=={installed(package).split('+')[0]}" for package in requirements],
        )
        store.client.log_model_artifacts(model.model_id, temporary)
    store.client.finalize_logged_model(model.model_id, "READY")
    store.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    _ensure_model(store, name)
    created: ModelVersion = store.client.create_model_version(
        name,
        source=model.artifact_location,  # `models:/` would be looked up in the global store
        run_id=run_id,
        tags=dict(tags),
        description=description,
        model_id=model.model_id,
        await_creation_for=0,  # the stores that this is for answer when it is done
    )
    return RegisteredVersion(name, int(created.version), run_id)


def find_version(store: Store, name: str, key: str) -> RegisteredVersion | None:
    """The version of `name` that was filed under `key`, if any."""
    with store.errors(f"look up {name}"):
        versions = store.client.search_model_versions(f"name = '{name}' and tags.`{KEY}` = '{key}'")
    return RegisteredVersion(name, int(versions[0].version), versions[0].run_id or "") if versions else None


def _ensure_model(store: Store, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        store.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _student_signature(student: StudentModel) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec

    side = student.resolution
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, CLASS), ColSpec(DataType.double, PROBABILITY)]
    outputs += [ColSpec(DataType.double, f"{PREFIX}{name}") for name in student.classes]
    return ModelSignature(Schema([TensorSpec(np.dtype(np.uint8), (-1, side, side, 3))]), Schema(outputs))


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
