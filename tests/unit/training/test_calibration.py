import numpy as np
import pytest
import torch

from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture
from dass.training.calibration import Calibration, calibrate, calibration_error, fit_temperature


def _drawn(count: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and labels drawn from what they say at a temperature."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(count, 5, generator=generator)
    return logits, torch.multinomial((logits / temperature).softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_the_labels_is_found_and_calibrates(temperature: float) -> None:
    logits, labels = _drawn(4000, temperature)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.1)
    errors = [
        calibration_error((logits / divisor).softmax(1).double().numpy(), labels.numpy()) for divisor in (found, 1.0)
    ]
    assert errors[0] < 3
    if temperature != 1:
        assert errors[1] > 2 * errors[0]


@pytest.mark.parametrize("right", [True, False])
def test_few_images_give_a_moderate_temperature(right: bool) -> None:
    labels = torch.zeros(3, dtype=torch.int64)
    logits = torch.tensor([[9.0, 0.0] if right else [0.0, 9.0]] * 3)
    assert 0.1 <= fit_temperature(logits, labels) <= 10


def test_the_error_is_the_gap_of_bins() -> None:
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 4)
    labels = np.array([0, 0, 0, 0, 1, 0, 0, 0])
    assert calibration_error(probabilities, labels) == pytest.approx(100 * (0.5 * 0.1 + 0.5 * 0.35))
    assert calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0


def _task(train: int) -> TaskData:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (train, 8, 8, 3), generator=generator, dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.arange(train) % 2
    return TaskData("pets", ("a", "b"), images, labels, images[:2], labels[:2], "0123456789ab")


def test_images_that_were_seen_make_no_student_surer() -> None:
    torch.manual_seed(0)
    network = ElasticResNet(Architecture(((4,), (8,), (8,), (8,))), 2).eval()
    data = _task(60)
    answers = network(data.train_images.float() / 127.5 - 1).argmax(1)
    data = TaskData(**{**vars(data), "train_labels": answers})  # all right, and unsure
    fresh, seen = (calibrate(network, data, 0, seen=seen) for seen in (False, True))
    assert fresh.temperature < 1
    assert seen == Calibration(1.0, fresh.images, seen=True)
    assert fresh.images < 10


def test_too_few_images_leave_it_as_it_is() -> None:
    network = ElasticResNet(Architecture(((4,), (8,), (8,), (8,))), 2).eval()
    assert calibrate(network, _task(2), 0, seen=False) == Calibration()
