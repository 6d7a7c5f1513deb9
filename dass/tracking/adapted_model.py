"""The predictor adapted to one target, as MLflow serves it: architectures in, predicted accuracies out."""

from pathlib import Path

import pandas as pd

from dass.errors import UsageError
from dass.networks.checkpoint import TeacherCard, load_teacher, save_teacher
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.checkpoint import PredictorCard
from dass.predictor.embeddings import fixed_noise
from dass.predictor.scorer import MetaPredictor, score_candidates
from dass.predictor.tasks import build_task
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.tracking.predictor_model import load_predictor_model, predictions, save_predictor_model

ARCHITECTURE, MACS, PARAMETERS = "architecture", "macs", "parameters"
TEACHER_FILE = "teacher.safetensors"


class AdaptedModel:
    """Scores students of one teacher.

    Args:
        predictor: as meta-learned; the guide is taken here.
        card: card of the predictor.
        teacher: teacher of the target.
        teacher_card: card of the teacher, whose accuracy is the guide.
    """

    def __init__(
        self, predictor: MetaPredictor, card: PredictorCard, teacher: ElasticResNet, teacher_card: TeacherCard
    ) -> None:
        self.card = card
        self.teacher = teacher
        self.teacher_card = teacher_card
        self.noise = fixed_noise(card.resolution, card.noise_seed)
        guide = build_task(
            teacher_card.task, teacher, teacher_card.accuracy, card.space, self.noise, statistics=predictor.statistics
        )
        self.adapted = predictor.adapt(guide.teacher_embedding, guide.teacher_code, guide.teacher_accuracy)

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Predicts what each architecture reaches after distillation from this teacher.

        Args:
            table: column `architecture`: JSON such as {"widths": [[16], [32], [64], [128]]}.

        Returns:
            One row each: what `predictions` says, `macs` and `parameters` on this task.

        Raises:
            MlflowException: what is no architecture of the space (INVALID_PARAMETER_VALUE).
        """
        from mlflow.exceptions import MlflowException

        try:
            architectures = [Architecture.from_json(str(text)) for text in table[ARCHITECTURE]]
            scores = score_candidates(self.adapted, self.teacher, architectures, self.card.space, self.noise)
        except UsageError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        classes = len(self.teacher_card.classes)
        costs = [cost(architecture, self.teacher_card.resolution, classes) for architecture in architectures]
        return predictions(scores).assign(
            **{
                MACS: pd.Series([item.macs for item in costs], dtype="int64"),
                PARAMETERS: pd.Series([item.parameters for item in costs], dtype="int64"),
            }
        )


def save_adapted_model(folder: Path, checkpoint: Path, teacher: ElasticResNet, teacher_card: TeacherCard) -> None:
    """Writes predictor and teacher into `folder`; adapting again on loading takes a moment and is exact.

    Raises:
        DassError: a file is missing or the teacher's weights are not finite.
    """
    save_predictor_model(folder, checkpoint)
    save_teacher(folder / TEACHER_FILE, teacher, teacher_card)


def load_adapted_model(folder: Path) -> AdaptedModel:
    """Reads what `save_adapted_model` wrote.

    Raises:
        DassError: a file is missing or damaged.
    """
    model = load_predictor_model(folder)
    return AdaptedModel(model.predictor, model.card, *load_teacher(folder / TEACHER_FILE))


def _load_pyfunc(path: str) -> AdaptedModel:
    """What MLflow calls to load the model."""
    return load_adapted_model(Path(path))
