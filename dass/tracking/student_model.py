"""A distilled student as files, and as MLflow serves it: images in, class names and probabilities out.

Nothing is pickled. MLflow imports this module, from the copy of the package that it keeps beside the model, and
calls `_load_pyfunc` with the folder that `save_student_model` wrote.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dass.cards import CardFormat
from dass.datasets.augment import normalize
from dass.networks.checkpoint import load_network, save_network
from dass.networks.elastic_resnet import ElasticResNet
from dass.sealed import read_sealed, write_sealed
from dass.space.architecture import Architecture
from dass.tracking.image_input import UnclearImagesError, pixel_batches

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException

WEIGHTS, ARCHITECTURE, DESCRIPTION = "weights.safetensors", "architecture.json", "student.json"
CLASS, PROBABILITY, PREFIX = "class", "probability", "p_"
_BATCH = 256  # bounds the memory of a prediction, whatever is sent


@dataclass(frozen=True)
class _Description:
    """What `student.json` holds.

    Attributes:
        classes: class names, in label order.
        resolution: side in pixels of the images that it was trained on.
        weights_id: 12 hex digits of the weights.
        temperature: logits are divided by it, above 0; earlier versions had none.
    """

    classes: tuple[str, ...]
    resolution: int
    weights_id: str
    temperature: float = 1.0


_FORMAT = CardFormat(_Description, "the description of a registered student", "register the student anew")


class StudentModel:
    """A student that answers for images.

    Args:
        network: network of the student.
        classes: class names, in label order.
        resolution: side in pixels of the squares that it was trained on, to which images are brought as then.
        temperature: logits are divided by it before they become probabilities.
    """

    def __init__(
        self, network: ElasticResNet, classes: tuple[str, ...], resolution: int, temperature: float = 1.0
    ) -> None:
        self.network = network.eval().to(memory_format=torch.channels_last)
        self.classes = classes
        self.resolution = resolution
        self.temperature = temperature

    def predict(self, images: Any) -> pd.DataFrame:
        """Classifies images.

        Args:
            images: files as bytes or base64 text, arrays of any size, lists of these, or one column of a data frame;
                `dass.tracking.image_input` states the rules.

        Returns:
            One row per image: `class` (the most probable class's name), `probability` (its), and `p_<name>` for
            every class in label order. Probabilities sum to 1.

        Raises:
            MlflowException: something else, or a file that does not decode (INVALID_PARAMETER_VALUE: a server answers
                400).
        """
        try:
            parts = [self.probabilities(pixels) for pixels in pixel_batches(images, self.resolution, _BATCH)]
        except UnclearImagesError as error:
            raise _refusal(str(error)) from error
        probabilities = np.concatenate([np.empty((0, len(self.classes))), *parts])
        best = probabilities.argmax(axis=1)
        names = np.array(self.classes, dtype=object)
        frame = pd.DataFrame({CLASS: names[best], PROBABILITY: probabilities[np.arange(len(best)), best]})
        every = pd.DataFrame(probabilities, columns=[f"{PREFIX}{name}" for name in self.classes])
        return pd.concat([frame, every], axis=1)

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Calibrated softmax outputs, float64 [n, classes], for pixels uint8 [n, h, w, 3], unchecked."""
        parts = [np.empty((0, len(self.classes)))]
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                batch = torch.from_numpy(np.array(images[start : start + _BATCH])).permute(0, 3, 1, 2)
                logits = self.network(normalize(batch)) / self.temperature
                parts.append(logits.softmax(dim=1).double().numpy())
        return np.concatenate(parts)


def _refusal(reason: str) -> "MlflowException":
    """An error whose message stays as it is: MLflow's server would put all pixels that were sent before it."""
    from mlflow.exceptions import MlflowException

    class RefusedImages(MlflowException):
        @property
        def message(self) -> str:
            return reason

        @message.setter
        def message(self, _longer: str) -> None:
            pass

    return RefusedImages.invalid_parameter_value(reason)


def save_student_model(
    folder: Path, network: ElasticResNet, classes: tuple[str, ...], resolution: int, temperature: float = 1.0
) -> None:
    """Writes a student's weights, architecture, classes, resolution and temperature into `folder`."""
    digits = save_network(folder / WEIGHTS, network)
    write_sealed(folder / ARCHITECTURE, network.architecture.to_json())
    _FORMAT.write(folder / DESCRIPTION, _Description(classes, resolution, digits, temperature))


def load_student_model(folder: Path) -> StudentModel:
    """Reads what `save_student_model` wrote; float32 on the CPU.

    Raises:
        DassError: a file is missing or damaged, or the weights are not those that were saved.
    """
    about = _FORMAT.read(folder / DESCRIPTION)
    architecture = Architecture.from_json(read_sealed(folder / ARCHITECTURE, _FORMAT.remedy))
    network = load_network(folder / WEIGHTS, architecture, len(about.classes), about.weights_id, _FORMAT.remedy)
    return StudentModel(network, about.classes, about.resolution, about.temperature)


def _load_pyfunc(path: str) -> StudentModel:
    """What MLflow calls to load the model."""
    return load_student_model(Path(path))
