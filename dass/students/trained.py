"""A distilled student on disk: its weights and, beside them, what it reached."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from dass.cards import CardFormat, card_path
from dass.errors import DassError
from dass.networks.checkpoint import load_network, save_network
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import ArchitectureField
from dass.students.record import StudentRecord


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
        weights_id: 12 hex digits of the weights; filled in when they are written, empty in files of earlier versions.
    """

    task: str
    architecture: ArchitectureField
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
    weights_id: str = field(default="", compare=False)

    @classmethod
    def of(cls, record: StudentRecord, classes: int) -> "TrainedStudent":
        """What a record says of it.

        Raises:
            DassError: training had failed.
        """
        if record.failure:
            raise DassError(f"student {record.arch_id} of {record.task} failed ({record.failure}): try another seed")
        return cls(
            task=record.task,
            architecture=record.architecture,
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


STUDENTS = CardFormat(
    TrainedStudent, "a student's card", "restore both with `dvc checkout` or run the distil stage again"
)


def save_student(path: Path, network: ElasticResNet, student: TrainedStudent) -> None:
    """Writes `<name>.safetensors` and, after it, `<name>.json`, each atomically."""
    STUDENTS.write(card_path(path), replace(student, weights_id=save_network(path, network)))


def load_student(path: Path) -> tuple[ElasticResNet, TrainedStudent]:
    """Reads what `save_student` wrote; the network is float32, on the CPU, in eval mode.

    Raises:
        DassError: a file is missing or damaged, or weights and description do not belong together.
    """
    student = STUDENTS.read(card_path(path))
    network = load_network(path, student.architecture, student.classes, student.weights_id, STUDENTS.remedy)
    return network, student
