"""Remapping is proved against a masked forward of the teacher, written here without the product's modules."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.space.architecture import Architecture

FULL = (6, 8, 12, 16)
DEPTH = 3
CLASSES = 5


def make_teacher() -> ElasticResNet:
    torch.manual_seed(0)
    teacher = ElasticResNet(Architecture(tuple((width,) * DEPTH for width in FULL)), CLASSES).double().eval()
    for module in teacher.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias)
    return teacher


TEACHER = make_teacher()
WEIGHTS = TEACHER.state_dict()


def keep(x: Tensor, width: int) -> Tensor:
    """Zeroes the dropped channels."""
    return torch.cat([x[:, :width], torch.zeros_like(x[:, width:])], dim=1)


def conv_bn(x: Tensor, conv: str, bn: str, stride: int = 1) -> Tensor:
    x = F.conv2d(x, WEIGHTS[f"{conv}.weight"], stride=stride, padding=1)
    mean, var, weight, bias = (
        WEIGHTS[f"{bn}.{part}"][None, :, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias


def masked_teacher(architecture: Architecture, x: Tensor) -> Tensor:
    """The teacher at full width, dropped blocks skipped and dropped channels zeroed."""
    x = keep(F.relu(conv_bn(x, "stem_conv", "stem_bn")), architecture.widths[0][0])
    for s, blocks in enumerate(architecture.widths):
        for b, width in enumerate(blocks):
            name = f"stages.{s}.{b}"
            stride = 2 if s > 0 and b == 0 else 1
            inner = keep(F.relu(conv_bn(x, f"{name}.conv1", f"{name}.bn1", stride)), width)
            residual = conv_bn(inner, f"{name}.conv2", f"{name}.bn2")
            if stride == 2:
                h, w = x.shape[2] // 2, x.shape[3] // 2
                x = x.reshape(*x.shape[:2], h, 2, w, 2).amax(dim=(3, 5))
            if x.shape[1] < FULL[s]:
                missing = torch.zeros(x.shape[0], FULL[s] - x.shape[1], *x.shape[2:], dtype=x.dtype)
                x = torch.cat([x, missing], dim=1)
            x = keep(F.relu(residual + x), width)
    return x.mean(dim=(2, 3)) @ WEIGHTS["classifier.weight"].T + WEIGHTS["classifier.bias"]


def stage_of_blocks(full: int) -> st.SearchStrategy[tuple[int, ...]]:
    inner = st.lists(st.integers(1, full), max_size=DEPTH - 1)
    return inner.map(lambda widths: (*widths, full))


def stage_of_one_ratio(full: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.builds(lambda depth, width: (width,) * depth + (full,), st.integers(0, DEPTH - 1), st.integers(1, full))


architectures = st.one_of(
    st.tuples(*map(stage_of_blocks, FULL)).map(Architecture),
    st.tuples(*map(stage_of_one_ratio, FULL)).map(Architecture),
)


@settings(max_examples=100)
@given(architecture=architectures, seed=st.integers(0, 99))
def test_a_remapped_student_is_the_masked_teacher(architecture: Architecture, seed: int) -> None:
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        torch.testing.assert_close(
            remap(TEACHER, architecture)(images), masked_teacher(architecture, images), rtol=1e-9, atol=1e-9
        )


def test_the_largest_student_is_the_teacher() -> None:
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    student = remap(TEACHER, TEACHER.architecture)
    assert torch.equal(student(images), TEACHER(images))


def test_a_student_has_its_own_weights_and_can_be_trained() -> None:
    before = {name: tensor.clone() for name, tensor in WEIGHTS.items()}
    student = remap(TEACHER, Architecture(((3, 6), (8,), (12,), (16,)))).train()
    student(torch.randn(2, 3, 16, 16, dtype=torch.float64)).sum().backward()
    assert all(parameter.grad is not None for parameter in student.parameters())
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in TEACHER.state_dict().items())


def test_mode_follows_the_teacher() -> None:
    assert not remap(TEACHER, TEACHER.architecture).training
    assert remap(make_teacher().train(), TEACHER.architecture).training


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        (((6,) * 4, (8,), (12,), (16,)), "stage 1 has 4 blocks"),
        (((6,), (9, 8), (12,), (16,)), "stage 2, block 1 has 9 channels"),
        (((6,), (8,), (12,), (16, 17)), "stage 4, block 2 has 17 channels"),
        (((6,), (8,), (11,), (16,)), "stage 3 must end at 12 channels"),
    ],
)
def test_larger_than_the_teacher_is_refused(widths: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        remap(TEACHER, Architecture(widths))
