"""Our SGD is torch's, without what torch's imports."""

import subprocess
import sys

import pytest
import torch

from dass.training.sgd import Sgd


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_steps_are_those_of_torch_after_a_stop_too(momentum: float) -> None:
    torch.manual_seed(0)
    starts = [torch.randn(5, 3), torch.randn(4), torch.randn(2)]  # the last never has a gradient
    ours, theirs = ([start.clone().requires_grad_() for start in starts] for _ in range(2))
    mine = Sgd(ours, rate=0.1, momentum=momentum, weight_decay=0.01)
    torchs = torch.optim.SGD(theirs, 0.1, momentum, weight_decay=0.01, nesterov=momentum > 0, fused=True)
    for step in range(6):
        if step == 3:
            state = mine.state_dict()
            mine = Sgd(ours, rate=1.0, momentum=momentum, weight_decay=0.01)
            mine.load_state_dict(state)
        mine.rate = torchs.param_groups[0]["lr"] = 0.1 / (1 + step)
        for optimizer, parameters in ((mine, ours), (torchs, theirs)):
            optimizer.zero_grad()
            (parameters[0].square().sum() * parameters[1].square().mean()).backward()
            optimizer.step()
    assert ours[2].grad is None
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], starts[0])


def test_training_does_not_import_what_compiles() -> None:
    code = (
        "import sys, torch\n"
        "from dass.networks.elastic_resnet import ElasticResNet\n"
        "from dass.training.loop import train\n"
        "from tests.samples import RECIPE, SPACE, rows_task\n"
        "network = ElasticResNet(SPACE.largest, 4)\n"
        "loss = lambda logits, labels, teacher: torch.nn.functional.cross_entropy(logits, labels)\n"
        "train([network], rows_task(), RECIPE, loss, seed=0, device=torch.device('cpu'))\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
