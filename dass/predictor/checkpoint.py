"""Predictors on disk: weights and learned inner rates in safetensors, what is known about them in JSON beside it."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from dass.config import Statistics
from dass.errors import DassError
from dass.files import file_sha256, write_bytes
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import MetaPredictor
from dass.predictor.tasks import TargetScale
from dass.sealed import read_sealed, write_sealed
from dass.space.search_space import SearchSpace


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

    space: SearchSpace
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
    tensors = {f"weights.{name}": _portable(w) for name, w in model.layers.items()}
    tensors |= {f"rates.{name}": _portable(r) for name, r in predictor.rates.items()}
    write_bytes(path, save(tensors))
    write_sealed(
        path.with_suffix(".json"),
        {
            "format": 1,
            "sha256": file_sha256(path),
            "embedding_channels": model.embedding_channels,
            "code_length": model.code_length,
            "use_student": model.use_student,
            "use_teacher": model.use_teacher,
            "use_code": model.use_code,
            "inner_steps": predictor.inner_steps,
            "scale": asdict(predictor.scale),
            "statistics": predictor.statistics,
            "card": {**asdict(card), "space": card.space.facts()},
        },
    )


def load_predictor(path: Path, device: torch.device | str = "cpu") -> tuple[MetaPredictor, PredictorCard]:
    """Reads a predictor and checks it.

    Raises:
        DassError: a file is missing or damaged, their hash, shapes or layers do not fit, or a number is not finite.
    """
    facts = read_sealed(path.with_suffix(".json"))
    try:
        if facts["format"] != 1:
            raise DassError(
                f"{path.with_suffix('.json')}: format {facts['format']} is of another version of dass: "
                "run the `meta_train` stage again"
            )
        if file_sha256(path) != facts["sha256"]:
            raise DassError(f"{path} and its .json do not belong together (hash): restore both with `dvc checkout`")
        model = DassPredictor(
            facts["embedding_channels"],
            facts["code_length"],
            use_student=facts["use_student"],
            use_teacher=facts["use_teacher"],
            use_code=facts["use_code"],
        )
        scale = TargetScale(**facts["scale"])
        inner_steps = int(facts["inner_steps"])
        statistics = _statistics(facts.get("statistics", "running"))  # earlier files know of no other
        card = _card(facts["card"])
        tensors = load_file(path)
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise DassError(f"{path} is no predictor that can be read ({error}): restore it with `dvc checkout`") from error
    _check(path, model, tensors)
    model.layers.load_state_dict({name: tensors[f"weights.{name}"] for name in model.layers})
    rates = {name: tensors[f"rates.{name}"].to(device) for name in model.layers}
    return MetaPredictor(model.to(device).requires_grad_(False), rates, inner_steps, scale, statistics), card


def _check(path: Path, model: DassPredictor, tensors: dict[str, Tensor]) -> None:
    expected = {f"{kind}.{name}": w.shape for kind in ("weights", "rates") for name, w in model.layers.items()}
    if tensors.keys() != expected.keys():
        odd = sorted(tensors.keys() ^ expected.keys())[0]
        raise DassError(f"{path}: layer {odd} is {'missing' if odd in expected else 'not part of a predictor'}")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name]:
            raise DassError(f"{path}: {name} has shape {list(tensor.shape)}, expected {list(expected[name])}")
        if not bool(torch.isfinite(tensor).all()):
            raise DassError(f"{path}: {name} holds NaN or infinite values: meta-train it anew")


def _statistics(value: object) -> Statistics:
    if value not in get_args(Statistics):
        raise ValueError(f"statistics: {value!r:.40}")
    return cast(Statistics, value)


def _card(values: dict[str, Any]) -> PredictorCard:
    names = {field.name for field in fields(PredictorCard)}
    if values.keys() != names:
        raise KeyError(f"card: {', '.join(sorted(values.keys() ^ names))}")
    lists = {name: tuple(values[name]) for name in ("training", "validation", "teacher_ids")}
    return PredictorCard(**{**values, **lists, "space": SearchSpace.from_facts(values["space"])})


def _portable(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()
