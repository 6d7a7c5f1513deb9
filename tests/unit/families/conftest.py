"""A small space of each family, and a teacher of it with uneven norms."""

import pytest
import torch

from dass.families.cifar_resnet import CifarResNet
from dass.families.ofa_resnet import OfaResNet
from dass.families.torchvision_resnet import TorchvisionResNet
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.search_space import SearchSpace

EIGHTHS = (0.25, 0.5, 0.75, 1.0)
SPACES = {
    "paper": SearchSpace((8, 16, 16, 32), 3, EIGHTHS, "block"),
    "paper, one ratio a stage": SearchSpace((8, 16, 16, 32), 3, EIGHTHS, "stage"),
    "cifar A": SearchSpace((16, 16, 32), (3, 2, 3), EIGHTHS, "block", CifarResNet((16, 24, 32), "A"), divisor=8),
    "cifar B": SearchSpace((16, 16, 32), (3, 2, 3), EIGHTHS, "stage", CifarResNet((16, 24, 32), "B"), divisor=1),
    "basic": SearchSpace(
        (16, 16, 16, 32), (2, 2, 3, 1), EIGHTHS, "block", TorchvisionResNet((16, 24, 32, 40), "basic", 16), divisor=4
    ),
    "bottleneck": SearchSpace(
        (8, 8, 16, 16), (2, 1, 3, 2), EIGHTHS, "block",
        TorchvisionResNet((32, 40, 48, 64), "bottleneck", 16, 3, 1, False, (True,) * 4), divisor=4,
    ),
    "bottleneck, stride in conv1": SearchSpace(
        (8, 8, 16, 16), (2, 1, 3, 2), EIGHTHS, "block",
        TorchvisionResNet((32, 40, 48, 64), "bottleneck", 16, 7, 2, False, (True,) * 4, 1), divisor=4,
    ),
    "once-for-all": SearchSpace(
        (8, 8, 16, 16), (2, 1, 3, 2), EIGHTHS, "block", OfaResNet((24, 32, 40, 48), (8, 16)), divisor=4
    ),
    "once-for-all, plain stem": SearchSpace(
        (8, 8, 16, 16), (2, 2, 1, 2), EIGHTHS, "stage", OfaResNet((24, 32, 40, 48), (8, 16), False), divisor=4
    ),
}  # fmt: skip
CLASSES = 5


def make_teacher(space: SearchSpace) -> ElasticResNet:
    """A random network whose norms have statistics and weights that differ from channel to channel."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = ElasticResNet(space.largest, CLASSES)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low in ((module.running_var, 0.5), (module.weight, 0.5), (module.running_mean, -0.5)):
                assert tensor is not None
                tensor.data = low + torch.rand(tensor.shape, generator=generator)
            module.bias.data = torch.rand(module.bias.shape, generator=generator) - 0.5
    return network.eval()


@pytest.fixture(scope="module", params=SPACES)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return SPACES[request.param]


@pytest.fixture(scope="module")
def teacher(space: SearchSpace) -> ElasticResNet:
    return make_teacher(space)
