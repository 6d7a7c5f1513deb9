import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.proxies.one_batch import OneBatch, one_batch_rows
from dass.space.search_space import SearchSpace
from dass.training.losses import distillation_loss

NAMES = [column.name for column in OneBatch().columns(4)]


def measure(teacher: ElasticResNet, architectures: list, data: TaskData, images: int = 256) -> np.ndarray:
    return one_batch_rows(teacher, architectures, data, alpha=0.5, temperature=6.0, images=images, precision="float32")


def test_equals_a_forward_pass_of_each_student_with_the_statistics_of_the_batch(
    teacher: ElasticResNet, space: SearchSpace, data: TaskData
) -> None:
    architectures = space.sample(12, np.random.default_rng(1))
    found = measure(teacher, architectures, data)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(data.train_labels)))
    images, labels = normalize(data.train_images[order]), data.train_labels[order]
    with torch.no_grad():
        soft = teacher(images)
        for architecture, row in zip(architectures, found, strict=True):
            student = remap(teacher, architecture).train()
            logits = student(images)
            expected = [
                (logits.argmax(1) == labels).float().mean(),
                F.cross_entropy(logits, labels),
                distillation_loss(logits, labels, soft, 0.5, 6.0),
                (logits.argmax(1) == soft.argmax(1)).float().mean(),
            ]
            assert row[:4] == pytest.approx([float(value) for value in expected], rel=1e-4)


def test_the_teacher_is_like_itself(teacher: ElasticResNet, data: TaskData) -> None:
    [row] = measure(teacher, [teacher.architecture], data)
    likeness = dict(zip(NAMES, row, strict=True))
    assert [likeness[f"similarity_{stage}"] for stage in (1, 2, 3, 4)] == pytest.approx([1.0] * 4)
    assert likeness["one_batch_error"] == 0


def test_a_student_is_measured_alike_whoever_is_measured_beside_it(
    teacher: ElasticResNet, space: SearchSpace, data: TaskData
) -> None:
    architectures = space.sample(9, np.random.default_rng(2))
    together = measure(teacher, architectures, data)
    alone = np.concatenate([measure(teacher, [one], data) for one in reversed(architectures)])[::-1]
    np.testing.assert_array_equal(together, alone)


def test_neither_the_teacher_nor_the_random_state_is_changed(
    teacher: ElasticResNet, space: SearchSpace, data: TaskData
) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    state = torch.random.get_rng_state()
    measure(teacher, space.sample(3, np.random.default_rng(3)), data, images=20)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module.training for module in teacher.modules() if isinstance(module, nn.BatchNorm2d))
