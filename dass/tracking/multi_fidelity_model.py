"""The multi-fidelity predictor as MLflow serves it: proxies of students in, accuracies with intervals out."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dass.errors import UsageError
from dass.fidelity import Fidelity
from dass.multi_fidelity.checkpoint import MultiFidelityCard, load_multi_fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor
from dass.proxies.registry import read_columns
from dass.proxies.table import ProxyTable

FILE = "predictor.safetensors"
PREDICTED, LOW, HIGH = "predicted_accuracy", "low", "high"
# Of MLflow's `params`: what is known of the task, and up to which fidelity the rows hold proxies.
TEACHER_ACCURACY, CLASSES, TEST_IMAGES, FIDELITY = "teacher_accuracy", "classes", "test_images", "fidelity"
OLD_FIDELITY = "evidence"  # what models that earlier versions registered call it


class MultiFidelityModel:
    """Predicts students of one task from a table of proxies.

    Args:
        predictor: predictor of the accuracies.
        card: card with the facts about it.
    """

    def __init__(self, predictor: MultiFidelityPredictor, card: MultiFidelityCard) -> None:
        self.predictor = predictor
        self.card = card

    def predict(self, rows: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Predicts accuracies in percent.

        Args:
            rows: one column for each measurement, as `dass.proxies` names them; the first row is the teacher's own.
            params: `teacher_accuracy` in percent, `classes`, `test_images`, and `fidelity`, the key of the
                costliest whose proxies are in the rows.

        Returns:
            One row for each student, without the teacher: the prediction and its 80% interval.

        Raises:
            UsageError: a parameter is missing, there are no students, or the rows lack the proxies.
        """
        options = dict(params or {})
        if OLD_FIDELITY in options:
            options.setdefault(FIDELITY, options.pop(OLD_FIDELITY))
        missing = [name for name in (TEACHER_ACCURACY, CLASSES, TEST_IMAGES, FIDELITY) if name not in options]
        if missing:
            raise UsageError(f"params lack {', '.join(missing)}")
        if len(rows) < 2:
            raise UsageError("the first row is the teacher's own and each further one a student's: there is no student")
        values = rows.to_numpy(np.float64)
        made = self.predictor.predict(
            ProxyTable(read_columns([str(name) for name in rows.columns]), values[1:], values[0]),
            Fidelity.parse(str(options[FIDELITY])),
            teacher_accuracy=float(options[TEACHER_ACCURACY]),
            classes=int(options[CLASSES]),
            test_images=int(options[TEST_IMAGES]),
        )
        return pd.DataFrame({PREDICTED: made.mean, LOW: made.low, HIGH: made.high})


def save_multi_fidelity_model(folder: Path, checkpoint: Path) -> None:
    """Copies a predictor's weights and card into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in (".safetensors", ".json"):
        shutil.copyfile(checkpoint.with_suffix(suffix), (folder / FILE).with_suffix(suffix))


def load_multi_fidelity_model(folder: Path) -> MultiFidelityModel:
    """Reads what `save_multi_fidelity_model` wrote.

    Raises:
        DassError: a file is missing or damaged.
    """
    return MultiFidelityModel(*load_multi_fidelity(folder / FILE))


def _load_pyfunc(path: str) -> MultiFidelityModel:
    """What MLflow calls to load the model."""
    return load_multi_fidelity_model(Path(path))
