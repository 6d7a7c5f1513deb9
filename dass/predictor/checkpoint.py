"""Predictors on disk: weights and learned inner rates in safetensors, and a card."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dass.cards import CardFormat, as_arrays, card_path, load_tensors, save_tensors
from dass.config import Statistics
from dass.errors import DassError
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import MetaPredictor
from dass.predictor.tasks import TargetScale
from dass.space.search_space import SearchSpaceField


@dataclass(frozen=True)
class PredictorCard:
    """Where a predictor comes from, and what its input must look like.

    Attributes:
        space: the search space of its architecture code.
        resolution: side of the noise image in pixels.
        noise_seed: seed of the noise image.
        training: source tasks that it was trained on.
        validation: source tasks by which its weights were chosen.
        students: students of each training task, on average.
        teacher_ids: ids of all these tasks' teachers, training first.
        episodes: number of outer steps that ran.
        best_episode: the outer step whose weights these are.
        validation_src: mean Spearman correlation over the validation tasks at that step.
        seed: random seed of meta-training.
        precision: number format of embeddings and encoders in meta-training.
        device: device of the training, such as `cpu`.
        torch_version: version of torch.
        seconds: seconds of the meta-training.
    """

    space: SearchSpaceField
    resolution: int
    noise_seed: int
    training: tuple[str, ...]
    validation: tuple[str, ...]
    students: float
    teacher_ids: tuple[str, ...]
    episodes: int
    best_episode: int
    validation_src: float
    seed: int
    precision: str
    device: str
    torch_version: str
    seconds: float


@dataclass(frozen=True)
class _PredictorFile:
    """The JSON beside a predictor's weights.

    Attributes:
        sha256: SHA-256 of the weights' file.
        embedding_channels: as in `DassPredictor`, and so are the next four.
        inner_steps: as in `MetaPredictor`, and so is the next.
        statistics: statistics of the batch norms that give embeddings; earlier files know of no other.
        card: card of the predictor.
    """

    sha256: str
    embedding_channels: int
    code_length: int
    use_student: bool
    use_teacher: bool
    use_code: bool
    inner_steps: int
    scale: TargetScale
    card: PredictorCard
    statistics: Statistics = "running"


PREDICTORS = CardFormat(
    _PredictorFile,
    "the card of a predictor",
    "restore both with `dvc checkout` or run the `meta_train` stage again",
    version=1,
)


def save_predictor(path: Path, predictor: MetaPredictor, card: PredictorCard) -> None:
    """Writes a predictor, atomically, the JSON last.

    Args:
        path: path of the safetensors file; the JSON goes beside it, with the suffix `.json`.
        predictor: weights and learned inner rates.
        card: card with the facts about it.

    Raises:
        DassError: it cannot be written.
    """
    model = predictor.predictor
    tensors = {f"weights.{name}": weight for name, weight in model.layers.items()}
    tensors |= {f"rates.{name}": rate for name, rate in predictor.rates.items()}
    file = _PredictorFile(
        sha256=save_tensors(path, as_arrays(tensors)),
        embedding_channels=model.embedding_channels,
        code_length=model.code_length,
        use_student=model.use_student,
        use_teacher=model.use_teacher,
        use_code=model.use_code,
        inner_steps=predictor.inner_steps,
        scale=predictor.scale,
        card=card,
        statistics=predictor.statistics,
    )
    PREDICTORS.write(card_path(path), file)


def load_predictor(path: Path, device: torch.device | str = "cpu") -> tuple[MetaPredictor, PredictorCard]:
    """Reads a predictor and checks it.

    Raises:
        DassError: a file is missing or damaged, their hash, shapes or layers do not fit, or a number is not finite.
    """
    file = PREDICTORS.read(card_path(path))
    arrays = load_tensors(path, file.sha256, PREDICTORS.remedy)
    numbers = sum(array.size for array in arrays.values())
    for name in ("embedding_channels", "code_length"):  # before a layer of that size is made
        if not 0 < getattr(file, name) <= numbers:
            raise DassError(f"{card_path(path)}: {name} is {getattr(file, name)}: {PREDICTORS.remedy}")
    model = DassPredictor(
        file.embedding_channels,
        file.code_length,
        use_student=file.use_student,
        use_teacher=file.use_teacher,
        use_code=file.use_code,
    )
    _check(path, model, arrays)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    model.layers.load_state_dict({name: tensors[f"weights.{name}"] for name in model.layers})
    rates = {name: tensors[f"rates.{name}"].to(device) for name in model.layers}
    model.to(device).requires_grad_(False)
    return MetaPredictor(model, rates, file.inner_steps, file.scale, file.statistics), file.card


def _check(path: Path, model: DassPredictor, arrays: Mapping[str, np.ndarray]) -> None:
    expected = {f"{kind}.{name}": w.shape for kind in ("weights", "rates") for name, w in model.layers.items()}
    if arrays.keys() != expected.keys():
        odd = sorted(arrays.keys() ^ expected.keys())[0]
        raise DassError(f"{path}: layer {odd} is {'missing' if odd in expected else 'not part of a predictor'}")
    for name, array in arrays.items():
        if array.shape != expected[name]:
            raise DassError(f"{path}: {name} has shape {list(array.shape)}, expected {list(expected[name])}")
        if not np.isfinite(array).all():
            raise DassError(f"{path}: {name} holds NaN or infinite values: meta-train it anew")
