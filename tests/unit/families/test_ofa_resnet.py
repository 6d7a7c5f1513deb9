"""The elastic ResNet-50 of once-for-all: its numbers, students with less of everything, and its file's names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from dass.baselines.methods.zero_cost import PROXIES
from dass.config import Augmentation, DistillationRecipe
from dass.datasets.importing import import_dataset
from dass.datasets.packed import load_target
from dass.datasets.task_data import TaskData
from dass.errors import DassError, UsageError
from dass.families.family import Family, fits
from dass.families.ofa_resnet import EXPAND_RATIOS, STREAM_RATIOS, STREAMS, OfaResNet, divisible, member
from dass.families.registry import read_family
from dass.networks.elastic_resnet import ElasticResNet, Modules
from dass.networks.importing import import_network
from dass.networks.remapping import remap
from dass.networks.run_block import run_block
from dass.predictor.embeddings import embed, fixed_noise
from dass.proxies.one_batch import one_batch_rows
from dass.search.latency import measure_parts
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.training.recipes import distill
from tests.unit.families.conftest import CLASSES, SPACES, make_teacher

TEACHER = make_teacher(SPACES["once-for-all"])
FAMILY = TEACHER.architecture.family
STUDENTS = [
    Architecture(widths, family)
    for widths, family in (
        (((8, 8), (8,), (16, 16, 16), (16, 16)), OfaResNet((24, 32, 40, 48), (8, 16), False)),
        (((4,), (8,), (8, 16), (12,)), OfaResNet((16, 32, 24, 32), (4, 8), True)),
        (((4,), (8,), (8, 16), (8, 12)), OfaResNet((16, 32, 24, 32), (4, 8), False)),
        (((4,), (8,), (8, 16), (12,)), OfaResNet((24, 24, 24, 48), (8, 8), True)),
    )
]
SUFFIXES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def images(count: int = 4, side: int = 64) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_the_papers_teacher_costs_what_table_6_prints() -> None:
    family, widths = member()
    spent = cost(Architecture(widths, family), 256, 1000)
    assert spent.macs / 1e6 == pytest.approx(9784.377, abs=5e-4)
    assert spent.macs_bn3_pool / 1e6 == pytest.approx(9843.178, abs=5e-4)  # printed 9843.17
    assert Architecture(widths, family).depths == (4, 4, 6, 4)


def test_widths_are_those_of_once_for_all() -> None:
    streams = [[divisible(full * ratio) for ratio in STREAM_RATIOS] for full in STREAMS]
    assert streams == [[168, 208, 256], [336, 408, 512], [664, 816, 1024], [1328, 1640, 2048]]
    assert [divisible(round(168 * ratio)) for ratio in EXPAND_RATIOS] == [32, 40, 56]
    family, widths = member((2, 2, 4, 2), (0.65, 0.8, 1.0, 0.65), 0.2, (24, 40), False)
    assert family.streams == (168, 408, 1024, 1328)
    assert [len(stage) for stage in widths] == [2, 2, 4, 2]
    assert fits(family, member()[0])


def test_only_less_of_what_is_elastic_fits() -> None:
    fewer = replace(FAMILY, streams=(16, 32, 40, 48), stem_residual=False)  # type: ignore[type-var]
    wider = replace(FAMILY, streams=(24, 32, 40, 56))  # type: ignore[type-var]
    assert fits(fewer, FAMILY)
    assert not fits(FAMILY, fewer)  # a student cannot have a convolution that its teacher lacks
    assert not fits(wider, FAMILY)
    other: Family = SPACES["bottleneck"].family
    assert not fits(other, FAMILY)
    assert not fits(replace(other, streams=(16, 16, 16, 16)), other)  # type: ignore[type-var]
    with pytest.raises(UsageError, match="its teacher one of"):
        remap(TEACHER, Architecture(TEACHER.architecture.widths, wider))


class Masked(Modules):
    """The teacher's convolutions, with zeros in the channels that a student lacks."""

    def __init__(self, student: Architecture) -> None:
        super().__init__(TEACHER)
        self.widths = {conv.name: conv.leaving for block in student.blocks for conv in block.all_convs}

    def linear(self, conv, features):  # type: ignore[no-untyped-def]
        outputs = super().linear(conv, features)
        outputs[:, self.widths[conv.name] :] = 0
        return outputs


@torch.no_grad()
@pytest.mark.parametrize("student", STUDENTS)
def test_a_student_is_its_teacher_with_channels_masked(student: Architecture) -> None:
    full = {block.convs[0].name: block for block in TEACHER.blocks}
    assert TEACHER.input is not None
    features = TEACHER.input(images())
    for block in student.blocks:
        features = run_block(full[block.convs[0].name], features, Masked(student))
    torch.testing.assert_close(TEACHER.classify(features), remap(TEACHER, student)(images()), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_embeddings_of_students_of_many_widths_are_plain_forwards() -> None:
    architectures = [STUDENTS[1], *STUDENTS, TEACHER.architecture, STUDENTS[0]]
    noise = fixed_noise(64, 0)
    found = {}
    for part in embed(TEACHER, architectures, noise):
        found.update(zip(part.indices.tolist(), part.embeddings, strict=True))
    assert sorted(found) == list(range(len(architectures)))
    for index, embedding in found.items():
        student = remap(TEACHER, architectures[index])
        expected = noise
        for block in student.blocks:
            expected = run_block(block, expected, Modules(student))
        channels = expected.shape[1]
        assert embedding.shape == (48, 2, 2)
        torch.testing.assert_close(embedding[:channels], expected[0], rtol=1e-4, atol=1e-4)
        assert not embedding[channels:].any()


@torch.no_grad()
def test_batch_statistics_of_students_of_many_widths_are_those_of_training() -> None:
    pixels = torch.randint(0, 256, (24, 3, 64, 64), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    labels = torch.arange(24) % CLASSES
    data = TaskData("t", tuple("abcde"), pixels, labels, pixels, labels, "id")
    architectures = [*STUDENTS, TEACHER.architecture, STUDENTS[1]]
    rows = one_batch_rows(TEACHER, architectures, data, alpha=0.5, temperature=4.0, precision="float32")
    for architecture, row in zip(architectures, rows, strict=True):
        logits = remap(TEACHER, architecture).train()(pixels.float() / 127.5 - 1)
        assert row[1] == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-3)
    np.testing.assert_array_equal(rows[1], rows[5])
    assert rows[4][-1] == pytest.approx(0, abs=1e-6)
    assert (rows[:4, -1] > 0.1).all()


@torch.no_grad()
@pytest.mark.parametrize("side", [64, 70])
def test_it_computes_what_once_for_all_says(side: int) -> None:
    """Written out from the description of the network, by the supernet's names, and without our blocks."""
    weights = once_for_all(TEACHER, True)

    def norm(features: Tensor, at: str) -> Tensor:
        mean, var, scale, shift = (
            weights[f"{at}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(features, mean, var, scale, shift)

    def layer(features: Tensor, at: str, stride: int = 1) -> Tensor:
        weight = weights[f"{at}.conv.conv.weight"]
        outputs = F.conv2d(features, weight, stride=stride, padding=weight.shape[-1] // 2)
        return norm(outputs, f"{at}.bn")

    assert TEACHER.input is not None
    pictures = images(2, side)
    features = layer(TEACHER.input(pictures), "input_stem.0", 2).relu()
    features = features + layer(features, "input_stem.1.conv").relu()
    features = layer(features, "input_stem.2").relu()
    features = F.max_pool2d(features, 3, 2, 1)
    number = 0
    for stage, depth in enumerate(TEACHER.architecture.depths):
        for position in range(depth):
            stride = 2 if stage and not position else 1
            kept = features
            if not position:
                kept = layer(F.avg_pool2d(features, stride, stride, 0, ceil_mode=True), f"blocks.{number}.downsample")
            inner = layer(features, f"blocks.{number}.conv1").relu()
            inner = layer(inner, f"blocks.{number}.conv2", stride).relu()
            features = (layer(inner, f"blocks.{number}.conv3") + kept).relu()
            number += 1
    head, bias = weights["classifier.linear.linear.weight"], weights["classifier.linear.linear.bias"]
    logits = F.linear(features.mean((2, 3)), head, bias)
    torch.testing.assert_close(TEACHER(pictures), logits, rtol=1e-4, atol=1e-4)


def test_students_of_other_widths_train_and_are_timed_and_scored(tmp_path: Path) -> None:
    import_dataset("digits", None, tmp_path, 40)
    data = load_target(tmp_path / "digits-40")
    recipe = DistillationRecipe(
        epochs=3, batch_size=64, learning_rate=0.05, momentum=0.9, weight_decay=3e-5, alpha=1.0, temperature=6.0,
        evaluations=1, augmentation=Augmentation(flip=False, crop_padding=0), precision="float32",
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher = ElasticResNet(TEACHER.architecture, 10).eval()
    trained = distill(teacher, STUDENTS[:2], data, recipe, seed=0, device=torch.device("cpu"))
    assert [one.network.architecture for one in trained] == STUDENTS[:2]
    assert all(one.final_accuracy > 30 for one in trained)  # of ten digits
    table = measure_parts(STUDENTS, 40, 10, torch.device("cpu"))
    assert set(table.heads) == {32, 48}
    assert all(table.estimate(student) > 0 for student in STUDENTS)
    pictures = torch.randn(8, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    for proxy in PROXIES.values():
        assert np.isfinite(proxy(trained[1].network.eval(), pictures, torch.arange(8)))


def once_for_all(network: ElasticResNet, supernet: bool) -> dict[str, Tensor]:
    """A network's weights under the names of once-for-all: of the supernet, or of a network taken out of it."""
    depths = network.architecture.depths
    middle = "stem.conv2.weight" in network.state_dict()
    modules = {"fc": "classifier.linear" + ".linear" * supernet}
    conv, norm = ("conv.conv", "bn.bn") if supernet else ("conv", "bn")
    places = {1: "input_stem.0", 2: "input_stem.1.conv", 3: "input_stem.2" if middle else "input_stem.1"}
    for index, place in places.items():
        modules |= {f"stem.conv{index}": f"{place}.{conv}", f"stem.bn{index}": f"{place}.{norm}"}
    for stage in range(4):
        for position in range(depths[stage]):
            at, place = f"stage{stage + 1}.{position}", f"blocks.{sum(depths[:stage]) + position}"
            for index in (1, 2, 3):
                modules |= {
                    f"{at}.conv{index}": f"{place}.conv{index}.{conv}",
                    f"{at}.bn{index}": f"{place}.conv{index}.{norm}",
                }
            modules |= {
                f"{at}.shortcut.conv": f"{place}.downsample.{conv}",
                f"{at}.shortcut.bn": f"{place}.downsample.{norm}",
            }
    return {
        f"{modules[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": tensor.clone()
        for name, tensor in network.state_dict().items()
        if not name.startswith("input.")
    }


@torch.no_grad()
@pytest.mark.parametrize("names", ["supernet", "taken out", "ours"])
@pytest.mark.parametrize("which", ["teacher", "student"])
def test_files_of_once_for_all_are_read(tmp_path: Path, names: str, which: str) -> None:
    network = TEACHER if which == "teacher" else remap(TEACHER, STUDENTS[2])
    weights = network.state_dict() if names == "ours" else once_for_all(network, names == "supernet")
    save_file(weights, tmp_path / "ofa.safetensors")
    read = import_network(tmp_path / "ofa.safetensors").network
    assert read.architecture == network.architecture
    assert torch.equal(read.eval()(images()), network.eval()(images()))  # nor are channels put in another order


def test_the_released_supernet_is_the_largest_member() -> None:
    family, widths = member()
    with torch.device("meta"):
        largest = ElasticResNet(Architecture(widths, family), 1000)
        shapes = {name: tuple(tensor.shape) for name, tensor in once_for_all(largest, True).items()}
    assert {"input_stem.1.conv.conv.conv.weight", "blocks.17.conv3.bn.bn.running_var", "blocks.8.downsample.bn.bn.bias",
            "blocks.14.downsample.conv.conv.weight", "classifier.linear.linear.bias"} <= set(shapes)  # fmt: skip
    reading = read_family(shapes)
    assert (reading.family, reading.widths, reading.classes) == (family, widths, 1000)
    counters = {name for name in shapes if name.endswith(SUFFIXES[-1])}
    assert set(reading.names.values()) == set(shapes) - counters


@pytest.mark.parametrize("gone", ["blocks.3.conv2.conv.conv.weight", "blocks.1.conv1.bn.bn.bias", "classifier"])
def test_a_file_that_lacks_something_is_refused(tmp_path: Path, gone: str) -> None:
    weights = {name: value for name, value in once_for_all(TEACHER, True).items() if not name.startswith(gone)}
    save_file(weights, tmp_path / "ofa.safetensors")
    with pytest.raises(DassError, match="looks like a ofa_resnet but"):
        import_network(tmp_path / "ofa.safetensors")


def test_a_file_with_more_than_such_a_network_has_is_refused(tmp_path: Path) -> None:
    weights = once_for_all(TEACHER, True) | {"blocks.1.se.fc.weight": torch.zeros(2)}
    save_file(weights, tmp_path / "ofa.safetensors")
    with pytest.raises(DassError, match="1 weights"):
        import_network(tmp_path / "ofa.safetensors")
