"""What pruning tools are given computes what the teacher computes."""

import copy

import pytest
import torch

from dass.errors import UsageError
from dass.families.registry import FAMILIES
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from experiments.rivals.plain import PlainNetwork


def test_a_plain_network_computes_what_the_teacher_computes() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher = ElasticResNet(SearchSpace((8, 16, 16, 32), 2, (0.5, 1.0), "block").largest, 3)
        images = torch.randn(4, 3, 19, 19)
    plain = PlainNetwork(copy.deepcopy(teacher))
    assert torch.equal(plain(images), teacher(images))  # in train mode
    assert torch.equal(plain.eval()(images), teacher.eval()(images))
    assert not any(type(one).__name__ == "ElasticConv" for one in plain.modules())


def test_a_teacher_of_another_family_is_refused() -> None:
    family, widths = FAMILIES["cifar_resnet"].networks()["resnet20"]
    with pytest.raises(UsageError, match="family"):
        PlainNetwork(ElasticResNet(Architecture(widths, family), 3))
