"""Recorded steps against plain ones; `test_loop` tests both through training."""

import pytest
import torch
from torch import Tensor

from dass.config import DistillationRecipe
from dass.datasets.task_data import TaskData
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.search_space import SearchSpace
from dass.training import loop
from dass.training.batches import epoch_batches
from dass.training.losses import label_loss
from dass.training.member import Member
from dass.training.steps import PlainSteps, RecordedSteps, steps_on
from tests.unit.training.conftest import NO_GPU


def plain_loss(logits: Tensor, labels: Tensor, _: Tensor | None) -> Tensor:
    return label_loss(logits, labels, 0.0)


@pytest.fixture
def network(space: SearchSpace) -> ElasticResNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ElasticResNet(space.largest, 4)


def test_a_cpu_takes_plain_steps() -> None:
    assert isinstance(steps_on(torch.device("cpu"), plain_loss, "float32"), PlainSteps)


@pytest.mark.parametrize("before", [0, 2])
def test_steps_within_unchanged_leave_no_trace(
    network: ElasticResNet, data: TaskData, recipe: DistillationRecipe, device: torch.device, before: int
) -> None:
    member = Member(network, recipe, device)
    batches = list(epoch_batches(data.to(device), recipe, 0, 0, "float32"))
    for batch in batches[:before]:
        member.step(batch, None, plain_loss, 0.1, "float32")
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    momenta = [buffer.clone() for buffer in member.optimizer.momenta if buffer is not None]
    with member.unchanged():
        member.step(batches[2], None, plain_loss, 0.1, "float32")
        assert not torch.equal(network.stem_conv.weight, weights["stem_conv.weight"])
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    after = [buffer for buffer in member.optimizer.momenta if buffer is not None]
    expected = momenta or [torch.zeros_like(buffer) for buffer in after]
    assert all(torch.equal(one, other) for one, other in zip(after, expected, strict=True))


@NO_GPU
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_recorded_steps_compute_what_plain_ones_do(
    space: SearchSpace, data: TaskData, recipe: DistillationRecipe, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    recipe = recipe.model_copy(update={"precision": precision})

    def train(steps: type[PlainSteps | RecordedSteps]) -> tuple[list[dict[str, Tensor]], list[tuple[float, ...]]]:
        torch.manual_seed(0)
        networks = [ElasticResNet(space.largest, 4) for _ in range(3)]
        monkeypatch.setattr(loop, "steps_on", lambda device, *how: steps(*how, *[device] * (steps is RecordedSteps)))
        runs = loop.train(networks, data, recipe, plain_loss, seed=0, device=torch.device("cuda"))
        return [network.state_dict() for network in networks], [run.losses for run in runs]

    plain, plain_losses = train(PlainSteps)
    recorded, recorded_losses = train(RecordedSteps)
    assert recorded_losses == pytest.approx(plain_losses)
    for one, other in zip(plain, recorded, strict=True):
        assert all(torch.equal(value, other[name]) for name, value in one.items())
