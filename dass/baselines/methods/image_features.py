"""A dataset as set encoders see it: features of its images, class by class.

MetaD2A and TANS take 512 features of a ResNet-18 pretrained on ImageNet. No such weights can be fetched offline, so the
features here are what a network pools that was trained on source images: the teacher of a source task. It knows nothing
of a target's teacher, as in the paper; `dass.baselines.methods.set_conditioned` has both.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dass.datasets.augment import normalize
from dass.errors import DassError
from dass.networks.elastic_resnet import ElasticResNet
from dass.tasks.ranking import RankingTask
from dass.training.batches import PRECISIONS

BATCH = 64
HELD = 16 * BATCH  # images in memory at a time: those of a thousand classes are many gigabytes


@dataclass(frozen=True)
class ClassFeatures:
    """Features of a task's training images.

    Attributes:
        classes: for each class with images, float32 [images, c].
    """

    classes: tuple[Tensor, ...]

    def draw(self, samples: int, rng: np.random.Generator) -> Tensor:
        """A random sample [classes, samples, c]; images of a class with fewer come more than once."""
        return torch.stack(
            [
                features[torch.from_numpy(rng.choice(len(features), samples, replace=len(features) < samples))]
                for features in self.classes
            ]
        )


def class_features(
    task: RankingTask, extractor: ElasticResNet, per_class: int, seed: int, precision: str
) -> ClassFeatures:
    """Looks at some images of each class through a network.

    Args:
        task: task whose training images are described.
        extractor: network that gives the features.
        per_class: most images of a class.
        seed: random seed of their choice.
        precision: number format of convolutions, `float32` or `bfloat16`.

    Raises:
        DassError: no training images.
    """
    rng = np.random.default_rng(seed)
    labels = task.data.train_labels.cpu().numpy()
    if not len(labels):
        raise DassError(f"task {task.name} has no training images to describe it by")
    chosen = [rng.permutation(np.flatnonzero(labels == label))[:per_class] for label in np.unique(labels)]
    images = task.data.train_images
    rows = torch.from_numpy(np.concatenate(chosen)).to(images.device)
    parts = [pooled_features(extractor, images[part], precision) for part in rows.split(HELD)]
    return ClassFeatures(torch.cat(parts).split([len(of_class) for of_class in chosen]))


@torch.no_grad()
def pooled_features(network: ElasticResNet, images: Tensor, precision: str) -> Tensor:
    """Pooled output of the last stage in eval mode, float32 [n, c]; the network's mode is as before afterwards.

    Args:
        network: the network; the work is done on its device.
        images: uint8 [n, 3, h, w], anywhere.
        precision: number format of the computation, `float32` or `bfloat16`.
    """
    device, training = network.device, network.training
    network.eval()
    try:
        parts = []
        for part in images.split(BATCH):
            pixels = normalize(part.to(device), PRECISIONS[precision])
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                features = network.features(pixels)
            parts.append(features.mean((-2, -1), dtype=torch.float32))
        return torch.cat(parts)
    finally:
        network.train(training)
