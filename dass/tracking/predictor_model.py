"""The meta-learned predictor as MLflow serves it: embeddings of a teacher and students in, accuracies out.

This is the predictor of any task; `dass.tracking.adapted_model` is that of one target, which takes architectures.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dass.errors import DassError
from dass.predictor.checkpoint import PredictorCard, load_predictor
from dass.predictor.scorer import MetaPredictor

FILE = "predictor.safetensors"
TEACHER, TEACHER_CODE, TEACHER_ACCURACY = "teacher_embedding", "teacher_code", "teacher_accuracy"
STUDENTS, STUDENT_CODES, PREDICTED = "student_embeddings", "student_codes", "predicted_accuracy"
SCORE = "score"


class PredictorModel:
    """Adapts to a teacher by the guide, then predicts.

    Args:
        predictor: weights, learned inner rates, scale.
        card: card that gives the shapes of the input.
    """

    def __init__(self, predictor: MetaPredictor, card: PredictorCard) -> None:
        self.predictor = predictor
        self.card = card

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each input, float32; -1 is the number of students."""
        side = self.card.space.embedding_side(self.card.resolution)
        embedding = (self.predictor.predictor.embedding_channels, side, side)
        length = self.predictor.predictor.code_length
        return {
            TEACHER: (1, *embedding),
            TEACHER_CODE: (1, length),
            TEACHER_ACCURACY: (1,),
            STUDENTS: (-1, *embedding),
            STUDENT_CODES: (-1, length),
        }

    def predict(self, inputs: Mapping[str, NDArray[np.float32]]) -> pd.DataFrame:
        """Predicts the accuracy of students of one task.

        Args:
            inputs: float32, of `shapes`: functional embeddings (`dass.predictor.embeddings`), architecture codes
                (`SearchSpace.encode`) and the teacher's accuracy in percent.

        Returns:
            One row per student, see `predictions`.

        Raises:
            MlflowException: as many codes as embeddings are needed, and finite numbers (INVALID_PARAMETER_VALUE).
        """
        from mlflow.exceptions import MlflowException

        if len(inputs[STUDENTS]) != len(inputs[STUDENT_CODES]):
            raise MlflowException.invalid_parameter_value(
                f"{len(inputs[STUDENTS])} {STUDENTS} but {len(inputs[STUDENT_CODES])} {STUDENT_CODES}: give one of each"
            )
        for name in self.shapes:
            if not np.isfinite(inputs[name]).all():
                raise MlflowException.invalid_parameter_value(f"{name} holds NaN or infinite values")
        tensors = {name: torch.from_numpy(np.array(inputs[name])) for name in self.shapes}
        accuracy = float(tensors[TEACHER_ACCURACY][0])
        adapted = self.predictor.adapt(tensors[TEACHER][0], tensors[TEACHER_CODE][0], accuracy)
        return predictions(adapted.predict(tensors[STUDENTS], tensors[STUDENT_CODES]).numpy())


def predictions(scores: NDArray[np.float64]) -> pd.DataFrame:
    """What a predictor answers: `predicted_accuracy` in 0..100 percent, and `score`, which keeps the order beyond."""
    return pd.DataFrame({PREDICTED: np.clip(scores, 0, 100), SCORE: scores})


def save_predictor_model(folder: Path, checkpoint: Path) -> None:
    """Copies a predictor's weights and card into `folder`.

    Raises:
        DassError: a file is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source, name in ((checkpoint, FILE), (checkpoint.with_suffix(".json"), Path(FILE).with_suffix(".json"))):
        if not source.is_file():
            raise DassError(f"{source} is missing: run the stage meta_train, or `dvc checkout`")
        shutil.copyfile(source, folder / name)


def load_predictor_model(folder: Path) -> PredictorModel:
    """Reads what `save_predictor_model` wrote.

    Raises:
        DassError: a file is missing or damaged.
    """
    return PredictorModel(*load_predictor(folder / FILE))


def _load_pyfunc(path: str) -> PredictorModel:
    """What MLflow calls to load the model."""
    return load_predictor_model(Path(path))
