"""What must hold of every family: the statements derived from its descriptions agree with one another."""

import copy
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dass.config import Statistics
from dass.datasets.task_data import TaskData
from dass.errors import UsageError
from dass.families.blocks import Block, Conv
from dass.families.registry import FAMILIES, family_from_json, family_to_json
from dass.networks.elastic_resnet import ElasticResNet, Modules
from dass.networks.remapping import remap
from dass.networks.run_block import run_block
from dass.networks.sorting import sort_channels
from dass.predictor.embeddings import embed, fixed_noise
from dass.proxies.one_batch import one_batch_rows
from dass.search.latency import measure_parts
from dass.space.architecture import Architecture
from dass.space.cost import CostLimits, cost
from dass.space.search_space import SearchSpace
from tests.unit.families.conftest import CLASSES, SPACES

SIDE = 32


def sample(space: SearchSpace, count: int = 12) -> list[Architecture]:
    return space.sample(count, np.random.default_rng(1))


def images(count: int = 2, side: int = SIDE) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(2))


def test_every_family_is_tried_here() -> None:
    assert {space.family.name for space in SPACES.values()} == set(FAMILIES)


def test_an_architecture_survives_json(space: SearchSpace) -> None:
    for architecture in sample(space):
        text = json.dumps(architecture.to_json())
        assert Architecture.from_json(text) == architecture
        assert Architecture.from_json(text).arch_id == architecture.arch_id
        assert family_from_json(json.loads(json.dumps(family_to_json(space.family)))) == space.family


def test_a_space_survives_json(space: SearchSpace) -> None:
    assert SearchSpace.from_facts(json.loads(json.dumps(space.facts()))) == space


class Masked(Modules):
    """The teacher's convolutions at full width, with the channels that a student drops set to zero."""

    def __init__(self, teacher: ElasticResNet, student: Architecture) -> None:
        super().__init__(teacher)
        self.widths = {conv.name: conv.leaving for block in student.blocks for conv in block.all_convs}

    def linear(self, conv: Conv, features: Tensor) -> Tensor:
        outputs = super().linear(conv, features)
        outputs[:, self.widths[conv.name] :] = 0
        return outputs

    def add_relu(self, conv: Conv, features: Tensor, kept: Tensor) -> Tensor:
        outputs = super().add_relu(conv, features, kept)
        outputs[:, self.widths[conv.name] :] = 0
        return outputs


@torch.no_grad()
def test_a_student_is_its_teacher_with_channels_masked_and_blocks_skipped(
    space: SearchSpace, teacher: ElasticResNet
) -> None:
    full: dict[str, Block] = {block.convs[0].name: block for block in teacher.blocks}
    for architecture in sample(space):
        student = remap(teacher, architecture)
        features = images() if teacher.input is None else teacher.input(images())
        for block in architecture.blocks:
            features = run_block(full[block.convs[0].name], features, Masked(teacher, architecture))
        torch.testing.assert_close(teacher.classify(features), student(images()), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("side", "statistics"), [(32, "running"), (40, "running"), (40, "batch"), (64, "batch")])
def test_fast_embeddings_are_plain_forwards(
    space: SearchSpace, teacher: ElasticResNet, side: int, statistics: Statistics
) -> None:
    architectures = [*sample(space), space.largest, *sample(space, 3)]
    noise = fixed_noise(side, 0)
    dtype = torch.float32
    if statistics == "batch":  # a nearly constant channel is divided by next to nothing, and the last bits with it
        teacher, noise, dtype = copy.deepcopy(teacher).double(), noise.double(), torch.float64
    found = 0
    for part in embed(teacher, architectures, noise, dtype=dtype, statistics=statistics):
        for index, embedding in zip(part.indices.tolist(), part.embeddings, strict=True):
            student = remap(teacher, architectures[index]).train(statistics == "batch")
            expected = noise
            for block in student.blocks:  # the noise stands for images that are normalised already
                expected = run_block(block, expected, Modules(student))
            torch.testing.assert_close(embedding, expected[0], rtol=1e-4, atol=1e-4)
            assert embedding.shape == (space.embedding_channels, *[space.embedding_side(side)] * 2)
            found += 1
    assert found == len(architectures)


@torch.no_grad()
def test_one_batch_proxy_is_a_forward_in_train_mode(space: SearchSpace, teacher: ElasticResNet) -> None:
    pixels = torch.randint(0, 256, (24, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    labels = torch.arange(24) % CLASSES
    data = TaskData("t", tuple("abcde"), pixels.permute(0, 3, 1, 2), labels, pixels.permute(0, 3, 1, 2), labels, "id")
    architectures = sample(space, 5)
    rows = one_batch_rows(teacher, architectures, data, alpha=0.5, temperature=4.0, precision="float32")
    for architecture, row in zip(architectures, rows, strict=True):
        student = remap(teacher, architecture).train()
        logits = student(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)
        assert row[1] == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-3)
        assert row[0] == pytest.approx(float((logits.argmax(1) == labels).double().mean()), abs=0.05)
    assert rows.shape[1] == 5 + space.family.stages


@pytest.mark.parametrize("side", [32, 39])
def test_costs_are_counted_parameters_and_flops(space: SearchSpace, side: int) -> None:
    for architecture in sample(space, 6):
        network = ElasticResNet(architecture, CLASSES).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(images(1, side))
        spent = cost(architecture, side, CLASSES)
        assert spent.parameters == sum(parameter.numel() for parameter in network.parameters())
        assert spent.macs == counter.get_total_flops() // 2


def test_samples_are_distinct_members_within_limits(space: SearchSpace) -> None:
    limit = float(np.median([cost(one, SIDE, CLASSES).macs for one in sample(space, 50)]))
    found = space.sample(40, np.random.default_rng(0), CostLimits(SIDE, CLASSES, max_macs=limit))
    assert len(set(found)) == 40
    for architecture in found:
        space.check(architecture)
        assert cost(architecture, SIDE, CLASSES).macs <= limit
    assert found[:10] == space.sample(10, np.random.default_rng(0), CostLimits(SIDE, CLASSES, max_macs=limit))
    codes = space.encode(found)
    assert codes.shape == (40, space.code_length)
    assert len(np.unique(codes, axis=0)) == 40


def test_the_smallest_members_cost_is_the_smallest(space: SearchSpace) -> None:
    with pytest.raises(UsageError, match="smallest member has") as refused:
        space.sample(1, np.random.default_rng(0), CostLimits(SIDE, CLASSES, max_macs=1))
    smallest = float(str(refused.value).split("smallest member has ")[1].split(" M MACs")[0])
    least = min(cost(one, SIDE, CLASSES).macs for one in space.sample(min(space.size, 3000), np.random.default_rng(0)))
    assert smallest <= least / 1e6 + 0.006
    limits = CostLimits(SIDE, CLASSES, max_macs=(smallest + 0.006) * 1e6)
    members = space.sample(1, np.random.default_rng(0), limits)
    assert len(members) == 1


@torch.no_grad()
def test_sorting_channels_preserves_the_function_and_puts_important_ones_first(
    space: SearchSpace, teacher: ElasticResNet
) -> None:
    sorted_teacher = remap(teacher, teacher.architecture)
    sort_channels(sorted_teacher)
    torch.testing.assert_close(sorted_teacher(images()), teacher(images()), rtol=1e-4, atol=1e-5)
    for block in sorted_teacher.blocks:
        if len(block.convs) > 1:
            last = sorted_teacher.module(block.convs[-1].name)
            taken = last.weight.abs().sum((0, 2, 3))
            assert (taken[:-1] >= taken[1:]).all()


def test_times_of_parts_cover_every_candidate(space: SearchSpace) -> None:
    architectures = sample(space, 4)
    table = measure_parts(architectures, 16, CLASSES, torch.device("cpu"))
    assert all(table.estimate(one) > 0 for one in architectures)


def test_huge_spaces_are_sampled() -> None:
    deep = SPACES["bottleneck"]
    space = SearchSpace(
        (64, 128, 256, 512), (3, 4, 23, 3), tuple(i / 8 for i in range(1, 9)), "block", deep.family, divisor=8
    )
    assert max(space.stage_options) > 2**63
    found = space.sample(50, np.random.default_rng(0), CostLimits(64, 10, max_macs=3e8))
    assert len(set(found)) == 50
    for architecture in found:
        space.check(architecture)
    depths = [architecture.depths[2] for architecture in space.sample(2000, np.random.default_rng(0))]
    assert abs(np.mean(depths) - 12) < 0.6


@pytest.mark.parametrize(
    "value",
    [
        None, {}, {"name": "vit"}, {"name": "cifar_resnet", "streams": [1, 2]}, {"name": "cifar_resnet", "x": 1},
        {"name": "torchvision_resnet", "streams": [1, 2, 3, 4], "block_kind": "odd"},
        {"name": "torchvision_resnet"}, {"name": ["cifar_resnet"]},
    ],
)  # fmt: skip
def test_no_family(value: object) -> None:
    with pytest.raises(UsageError, match=r"family|streams|blocks|resnet"):
        family_from_json(value)
