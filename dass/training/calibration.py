"""Probabilities that mean what they say: one temperature, fitted on images that nothing was tested on.

Logits divided by a temperature (Guo et al. 2017) keep every answer as it was; only the probabilities change.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dass.datasets.task_data import TaskData
from dass.datasets.validation import held_out_part
from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.training.evaluation import predict

RANGE = (0.1, 10.0)  # of a temperature
BINS = 15  # of probability, as in the paper


@dataclass(frozen=True)
class Calibration:
    """How a student's probabilities were calibrated.

    Attributes:
        temperature: logits are divided by it; 1 leaves them as they are.
        images: training images that it was fitted on; 0 where there were none.
        seen: whether the student was distilled on them, too; then the temperature is at least 1.
    """

    temperature: float = 1.0
    images: int = 0
    seen: bool = False


def calibrate(network: ElasticResNet, data: TaskData, seed: int, *, seen: bool) -> Calibration:
    """Fits the temperature of a student on the training images that `held_out_part` takes for a seed.

    Args:
        network: network of the student, on the CPU.
        data: its task; its test images are not looked at.
        seed: random seed of the draw; that of the distillation, where these images were held out of it.
        seen: whether it was distilled on all training images. A network is surer of images that it has seen, so it is
            not made surer of others by them: the temperature is at least 1.
    """
    try:
        images, labels = held_out_part(data, seed)
    except UsageError:  # too few images to hold some out
        return Calibration(seen=seen)
    temperature = fit_temperature(predict(network, images, "float32"), labels)
    return Calibration(max(1.0, temperature) if seen else temperature, len(labels), seen)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature under which labels are likeliest, 0.1..10.

    A wide normal prior of its logarithm (deviation 2) keeps it moderate where few images are all right or all wrong.

    Args:
        logits: float [n, classes], n at least 1.
        labels: class of each image, int64 [n].
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    values, targets = logits.double().numpy(), labels.numpy()

    def cost(log_temperature: float) -> float:
        likelihood = log_softmax(values / np.exp(log_temperature), axis=1)[np.arange(len(targets)), targets]
        return float(-likelihood.sum() + log_temperature**2 / 8)

    optimum = minimize_scalar(cost, bounds=tuple(np.log(RANGE)), method="bounded")
    return float(np.exp(optimum.x))


def calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Expected calibration error of the answers, in percentage points.

    Answers are put into bins of equal width by their probability; it is the mean over all answers of how far the share
    of right ones in a bin is from the bin's mean probability.

    Args:
        probabilities: [n, classes], n at least 1.
        labels: class of each image, int64 [n].
    """
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=right - sure, minlength=BINS)
    return 100 * float(np.abs(gaps).sum() / len(labels))
