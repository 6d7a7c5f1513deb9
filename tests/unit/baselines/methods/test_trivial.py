"""Size alone, by hand."""

import numpy as np

from dass.baselines.methods.trivial import Depth, Macs, Parameters, Random
from dass.networks.elastic_resnet import ElasticResNet
from dass.tasks.ranking import RankingTask


def test_counts_are_the_networks(target: RankingTask) -> None:
    some = target.architectures[:5]
    networks = [ElasticResNet(architecture, 3) for architecture in some]
    expected = [sum(p.numel() for p in network.parameters()) for network in networks]
    np.testing.assert_array_equal(Parameters().score(target, some), expected)
    np.testing.assert_array_equal(Depth().score(target, some), [sum(map(len, a.widths)) for a in some])
    assert (np.diff(Macs().score(target, [some[0], target.space.largest])) > 0).all()


def test_random_follows_its_seed(target: RankingTask) -> None:
    first, same, other = (Random(seed).score(target, target.architectures) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert ((first >= 0) & (first < 1)).all()
