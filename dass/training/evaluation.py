"""Forward passes without training: logits, accuracy and loss."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dass.datasets.augment import normalize
from dass.networks.elastic_resnet import ElasticResNet
from dass.training.batches import PRECISIONS

BATCH = {"cpu": 64}  # images per forward pass: as many as the caches hold, or as fill a GPU
LARGE_BATCH = 1024


@dataclass(frozen=True)
class Evaluation:
    """How well a network does on a set of images.

    Attributes:
        accuracy: accuracy in percent (0..100).
        loss: mean cross entropy.
    """

    accuracy: float
    loss: float


def forward(network: ElasticResNet, images: Tensor, precision: str) -> Tensor:
    """Logits in float32: convolutions in `precision`, pooling and classifier always in float32.

    Bfloat16 logits would carry three digits, which ties classes and coarsens losses.

    Args:
        network: network in train or eval mode.
        images: normalized images of the batch, float [b, 3, h, w].
        precision: number format of the computation, `float32` or `bfloat16`.

    Returns:
        float32 [b, classes].
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        features = network.features(images)
    return network.classify(features.float())


@torch.inference_mode()
def predict(network: ElasticResNet, images: Tensor, precision: str) -> Tensor:
    """Logits in eval mode of any number of images; the network's mode is as before afterwards.

    Args:
        network: the work is done on its device.
        images: uint8 [n, 3, h, w], anywhere.
        precision: number format of the computation, `float32` or `bfloat16`.

    Returns:
        float32 [n, classes].
    """
    training, device = network.training, network.device
    network.eval()
    try:
        parts = (
            normalize(part.to(device), PRECISIONS[precision])
            for part in images.split(BATCH.get(device.type, LARGE_BATCH))
        )
        return torch.cat([forward(network, part, precision) for part in parts])
    finally:
        network.train(training)


def evaluate(network: ElasticResNet, images: Tensor, labels: Tensor, precision: str) -> Evaluation:
    """Accuracy and cross entropy over all images, the last partial batch included.

    Args:
        network: network on the device of the images.
        images: uint8 [n, 3, h, w], n at least 1.
        labels: class of each image, int64 [n].
        precision: `float32` or `bfloat16`, see `forward`.
    """
    return summarize(predict(network, images, precision), labels)


def summarize(logits: Tensor, labels: Tensor) -> Evaluation:
    """Accuracy and cross entropy of logits [n, classes] against labels int64 [n], n at least 1."""
    correct = (logits.argmax(1) == labels).sum().item()
    return Evaluation(100 * correct / len(labels), F.cross_entropy(logits, labels).item())
