"""What methods without training look at: one batch of training images, and networks before training."""

import copy

import numpy as np
import torch

from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.training.batches import Batch


def probe_batch(data: TaskData, size: int, seed: int, device: torch.device) -> Batch:
    """Draws one batch of training images, the same for every architecture.

    Args:
        data: the task; its test images, on which students are judged, are not touched.
        size: images, or all where there are fewer; not augmented, no image twice.
        seed: random seed of the draw.
        device: device that the batch is put on.

    Returns:
        Images as float32 in -1..1.
    """
    chosen = np.random.default_rng(seed).permutation(len(data.train_labels))[:size]
    rows = torch.from_numpy(chosen).to(data.train_labels.device)
    return Batch(normalize(data.train_images[rows]).to(device), data.train_labels[rows].to(device))


def random_network(architecture: Architecture, classes: int, seed: int, device: torch.device) -> ElasticResNet:
    """A randomly initialised network in train mode; the global random state is as before afterwards.

    Weights are drawn on the CPU and so are the same on every device.

    Args:
        architecture: architecture of the network.
        classes: number of classes.
        seed: random seed of its weights.
        device: device that it is put on.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed, which would seed every GPU as well
        return ElasticResNet(architecture, classes).to(device)


def scratch_copy(network: ElasticResNet) -> ElasticResNet:
    """A copy to be spoilt, in train mode: its batch norms use the batch's own statistics."""
    return copy.deepcopy(network).requires_grad_(True).train()
