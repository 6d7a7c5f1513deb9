"""Checkpoints of other libraries against their own forward passes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from dass.errors import DassError, UsageError
from dass.families.blocks import HALF, IMAGENET
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.importing import import_network
from tests.factories import torchvision_network
from tests.unit.families.conftest import SPACES, make_teacher

Weights = dict[str, Tensor]
CLASSES = 7


def uneven(network: nn.Module) -> nn.Module:
    """Norms whose statistics and weights differ from channel to channel."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            for tensor in (module.running_mean, module.bias.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.5)
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network.eval()


def pixels(side: int) -> Tensor:
    return torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(0))


def normalized(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (IMAGENET.mean, IMAGENET.std))
    return (images - mean) / std


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "wide_resnet50_2"])
def test_torchvision(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    theirs = uneven(torchvision_network(name, num_classes=CLASSES))
    torch.save(theirs.state_dict(), tmp_path / "teacher.pth")
    ours = import_network(tmp_path / "teacher.pth").network
    expected = theirs(normalized(pixels(64)))
    torch.testing.assert_close(ours(2 * pixels(64) - 1), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    assert ours.normalization == IMAGENET


def cifar_forward(weights: Weights, images: Tensor) -> Tensor:
    """A plain forward of He et al.'s networks for CIFAR with option A, by names."""

    def conv_norm(features: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        features = F.conv2d(features, weights[f"{conv}.weight"], stride=stride, padding=1)
        mean, var, weight, bias = (weights[f"{norm}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(features, mean, var, weight, bias)

    features = F.relu(conv_norm(images, "conv1", "bn1"))
    for stage in (1, 2, 3):
        position = 0
        while f"layer{stage}.{position}.conv1.weight" in weights:
            at, stride = f"layer{stage}.{position}", 2 if stage > 1 and position == 0 else 1
            inner = F.relu(conv_norm(features, f"{at}.conv1", f"{at}.bn1", stride))
            inner = conv_norm(inner, f"{at}.conv2", f"{at}.bn2")
            if stride == 2:
                quarter = inner.shape[1] // 4
                features = F.pad(features[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
            features = F.relu(inner + features)
            position += 1
    return F.linear(features.mean((2, 3)), weights["linear.weight"], weights["linear.bias"])


@torch.no_grad()
@pytest.mark.parametrize(("depth", "file"), [(20, "resnet20-12fca82f.th"), (56, "resnet56-4bfd9763.th")])
def test_public_cifar_resnets(shared_teachers: Path, depth: int, file: str) -> None:
    stored = torch.load(shared_teachers / file, map_location="cpu", weights_only=True)["state_dict"]
    weights = {name.removeprefix("module."): tensor for name, tensor in stored.items()}
    ours = import_network(shared_teachers / file).network
    assert sum(ours.architecture.depths) * 2 + 2 == depth
    expected = cifar_forward(weights, normalized(pixels(32)))
    torch.testing.assert_close(ours(2 * pixels(32) - 1), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@torch.no_grad()
@pytest.mark.parametrize("name", SPACES)
def test_our_own_files(tmp_path: Path, name: str) -> None:
    teacher = make_teacher(SPACES[name])
    save_file(teacher.state_dict(), tmp_path / "own.safetensors")
    read = import_network(tmp_path / "own.safetensors", sort=False).network
    assert read.architecture.widths == teacher.architecture.widths
    if "stride in conv1" not in name:  # cannot be told from weights
        assert read.architecture == teacher.architecture
        assert all(torch.equal(tensor, teacher.state_dict()[key]) for key, tensor in read.state_dict().items())
    assert read.normalization == teacher.normalization


def test_what_the_weights_expect_can_be_given(tmp_path: Path) -> None:
    teacher = make_teacher(SPACES["paper"])
    save_file(teacher.state_dict(), tmp_path / "own.safetensors")
    imagenet = import_network(tmp_path / "own.safetensors", normalization=IMAGENET).network
    assert imagenet.normalization == IMAGENET
    save_file(imagenet.state_dict(), tmp_path / "again.safetensors")
    assert import_network(tmp_path / "again.safetensors").network.normalization == IMAGENET
    assert import_network(tmp_path / "again.safetensors", normalization=HALF).network.normalization == HALF


def renamed(weights: Weights, old: str, new: str) -> Weights:
    return {name.replace(old, new): tensor for name, tensor in weights.items()}


def small() -> ElasticResNet:
    return make_teacher(SPACES["cifar B"])


@torch.no_grad()
@pytest.mark.parametrize(
    "variant",
    [
        lambda weights: renamed(renamed(weights, "linear.", "fc."), ".shortcut.", ".downsample."),
        lambda weights: {f"module.{name}": tensor for name, tensor in weights.items()},
        lambda weights: {f"model.backbone.{name}": tensor for name, tensor in weights.items()},
        lambda weights: {name: tensor for name, tensor in weights.items() if "num_batches" not in name},
        lambda weights: {name: t.half() if t.is_floating_point() else t for name, t in weights.items()},
    ],
    ids=["other names", "module.", "model.backbone.", "no counters", "half precision"],
)
def test_variants_of_one_checkpoint(tmp_path: Path, variant: Callable[[Weights], Weights]) -> None:
    weights = {name: tensor for name, tensor in small().state_dict().items() if not name.startswith("input.")}
    torch.save(variant(weights), tmp_path / "teacher.pt")
    read = import_network(tmp_path / "teacher.pt").network
    torch.testing.assert_close(read(pixels(32)), small()(pixels(32)), rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("make", "noun"),
    [
        (lambda: torchvision_network("resnext50_32x4d"), "grouped"),
        (lambda: torchvision_network("mobilenet_v2"), "MobileNet"),
        (lambda: torchvision_network("vgg11_bn"), "VGG"),
        (lambda: torchvision_network("densenet121"), "DenseNet"),
        (lambda: torchvision_network("vit_b_16"), "transformer"),
    ],
    ids=["groups", "mobilenet", "vgg", "densenet", "vit"],
)
def test_other_networks_are_refused_by_name(tmp_path: Path, make: Callable[[], nn.Module], noun: str) -> None:
    with torch.device("meta"):
        network = make()
    torch.save(
        {name: torch.zeros(tensor.shape, dtype=torch.float16) for name, tensor in network.state_dict().items()},
        tmp_path / "teacher.pth",
    )
    with pytest.raises(DassError, match=noun) as refused:
        import_network(tmp_path / "teacher.pth")
    assert "\n" not in str(refused.value)
    assert "docs/families.md" in str(refused.value)


def change(weights: Weights, name: str, tensor: Tensor | None) -> Weights:
    kept = {key: value for key, value in weights.items() if key != name}
    return kept if tensor is None else {**kept, name: tensor}


@pytest.mark.parametrize(
    ("name", "tensor", "noun"),
    [
        ("layer1.0.conv2.weight", None, "layer1.0.conv2.weight"),
        ("layer1.1.conv1.weight", None, "block 1 of layer1"),
        ("layer1.0.bn1.weight", torch.ones(3), "layer1.0.bn1.weight"),
        ("layer1.0.bn1.bias", torch.full((16,), float("nan")), "NaN"),
        ("layer1.0.se.fc1.weight", torch.ones(4, 4), "squeeze"),
        ("aux.weight", torch.ones(4, 4), "aux.weight"),
        ("linear.weight", None, "linear"),
        ("layer1.0.conv2.weight", torch.ones(16), "layer1.0.conv2.weight"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, name: str, tensor: Tensor | None, noun: str) -> None:
    torch.save(change(dict(small().state_dict()), name, tensor), tmp_path / "teacher.pt")
    with pytest.raises(DassError, match=noun) as refused:
        import_network(tmp_path / "teacher.pt")
    assert "\n" not in str(refused.value)


@torch.no_grad()
def test_strides_and_pools_that_weights_cannot_tell_are_given(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = uneven(torchvision_network("resnet18", num_classes=CLASSES))
    theirs.conv1.stride, theirs.maxpool = (1, 1), nn.Identity()
    torch.save(theirs.state_dict(), tmp_path / "teacher.pth")
    ours = import_network(tmp_path / "teacher.pth", layout={"stem_stride": 1, "max_pool": False}).network
    expected = theirs(normalized(pixels(32)))
    torch.testing.assert_close(ours(2 * pixels(32) - 1), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    assert ours.architecture.family.reduction == 8
    expected_family = ours.architecture.family
    assert import_network(tmp_path / "teacher.pth", expected=expected_family).network.architecture == ours.architecture


@pytest.mark.parametrize("layout", [{"stem_stride": 3}, {"max_pool": 2}, {"depth": 1}, {"streams": 1}])
def test_a_layout_that_is_none(tmp_path: Path, layout: dict[str, int]) -> None:
    torch.save(torchvision_network("resnet18", num_classes=3).state_dict(), tmp_path / "teacher.pth")
    with pytest.raises(UsageError, match=r"layout|stride|max_pool"):
        import_network(tmp_path / "teacher.pth", layout=layout)


def with_head(head: nn.Module) -> dict[str, Tensor]:
    network = torchvision_network("resnet18")
    network.fc = head
    return network.state_dict()


def test_a_linear_layer_behind_a_dropout_is_a_head(tmp_path: Path) -> None:
    torch.save(with_head(nn.Sequential(nn.Dropout(), nn.Linear(512, 5))), tmp_path / "teacher.pth")
    assert import_network(tmp_path / "teacher.pth").network.classes == 5


@pytest.mark.parametrize(
    ("weights", "noun"),
    [
        (lambda: with_head(nn.Sequential(nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 5))), "several linear layers"),
        (lambda: with_head(nn.Linear(512, 5, bias=False)), "bias"),
        (lambda: with_head(nn.Identity()), "no linear layer"),
        (lambda: change(with_head(nn.Linear(512, 5)), "conv1.weight", torch.zeros(64, 1, 7, 7)), "1 channels"),
        (lambda: change(with_head(nn.Linear(512, 5)), "conv1.weight", torch.zeros(64, 3, 5, 5)), "5x5"),
        (lambda: change(with_head(nn.Linear(512, 5)), "bn1.running_mean", None), "running statistics"),
        (
            lambda: {n: t for n, t in with_head(nn.Linear(512, 5)).items() if not n.startswith("layer4")},
            "three stages",
        ),
    ],
    ids=["two layers", "no bias", "no head", "grey", "5x5", "no statistics", "three stages"],
)
def test_the_reason_is_the_true_one(tmp_path: Path, weights: Callable[[], Weights], noun: str) -> None:
    torch.save(weights(), tmp_path / "teacher.pth")
    with pytest.raises(DassError, match=noun):
        import_network(tmp_path / "teacher.pth")
