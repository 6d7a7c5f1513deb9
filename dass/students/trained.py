"""A distilled student on disk: its weights and, beside them, what it reached."""

from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import save

from dass.errors import DassError, UsageError
from dass.files import write_bytes
from dass.networks.checkpoint import import_checkpoint, weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.sealed import read_sealed, write_sealed
from dass.space.architecture import Architecture
from dass.students.record import StudentRecord

AGAIN = "restore both with `dvc checkout` or run the distil stage again"
WEIGHTS_ID = "weights_id"


@dataclass(frozen=True)
class TrainedStudent:
    """What is kept beside a student's weights: its record without when, where and how long.

    The same distillation gives the same file, so that a run repeated after a kill ends in the same hashes.

    Attributes:
        task: name of the task.
        architecture: architecture of the network.
        classes: number of classes: outputs of the linear layer.
        seed: random seed of batch order and augmentation.
        data_id: 12 hex digits of the content of the task's images.
        teacher_id: 12 hex digits of the teacher's weights.
        recipe_id: 12 hex digits of the distillation recipe, precision included.
        init_accuracy: percent of test images, remapped and not yet trained.
        best_accuracy: percent, the maximum over the evaluations.
        final_accuracy: percent at the end of training.
        final_loss: mean test cross entropy at the end.
        macs: multiply-accumulates of convolutions and the linear layer.
        params: number of trained weights.
    """

    task: str
    architecture: Architecture
    classes: int
    seed: int
    data_id: str
    teacher_id: str
    recipe_id: str
    init_accuracy: float
    best_accuracy: float
    final_accuracy: float
    final_loss: float
    macs: int
    params: int

    @classmethod
    def of(cls, record: StudentRecord, classes: int) -> "TrainedStudent":
        """What a record says of it.

        Raises:
            DassError: training had failed.
        """
        if record.failure:
            raise DassError(f"student {record.arch_id} of {record.task} failed ({record.failure}): lower the rate")
        return cls(
            task=record.task,
            architecture=Architecture.from_json(record.architecture),
            classes=classes,
            seed=record.seed,
            data_id=record.data_id,
            teacher_id=record.teacher_id,
            recipe_id=record.recipe_id,
            init_accuracy=record.init_accuracy,
            best_accuracy=record.best_accuracy,
            final_accuracy=record.final_accuracy,
            final_loss=record.final_loss,
            macs=record.macs,
            params=record.params,
        )


def save_student(path: Path, network: ElasticResNet, student: TrainedStudent) -> None:
    """Writes `<name>.safetensors` and, after it, `<name>.json`, each atomically."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_bytes(path, save(weights))
    facts = {**asdict(student), "architecture": student.architecture.to_json(), WEIGHTS_ID: weights_id(network)}
    write_sealed(path.with_suffix(".json"), facts)


def load_student(path: Path) -> tuple[ElasticResNet, TrainedStudent]:
    """Reads what `save_student` wrote; the network is float32, on the CPU, in eval mode.

    Raises:
        DassError: a file is missing or damaged, or weights and description do not belong together.
    """
    values = read_sealed(path.with_suffix(".json"), AGAIN)
    try:
        weights = values.pop(WEIGHTS_ID, None)  # earlier versions did not keep it
        student = TrainedStudent(**{**values, "architecture": Architecture.from_json(values["architecture"])})
    except (TypeError, KeyError, AttributeError, UsageError) as error:
        raise DassError(f"{path.with_suffix('.json')} is not a student ({error}): {AGAIN}") from error
    network = import_checkpoint(path, student.architecture, student.classes)
    if weights not in (None, weights_id(network)):
        raise DassError(f"{path} holds other weights than were distilled: {AGAIN}")
    return network, student
