"""Adam against torch's own class."""

import torch

from dass.training.adam import Adam


def test_takes_the_steps_of_torch_and_goes_on_from_a_state() -> None:
    torch.manual_seed(0)
    ours = [
        torch.randn(5, 3, requires_grad=True),
        torch.randn(7, requires_grad=True),
        torch.randn(2, requires_grad=True),
    ]
    theirs = [one.detach().clone().requires_grad_() for one in ours]
    first, expected = Adam(ours, 0.01), torch.optim.Adam(theirs, 0.01, fused=True)
    for step in range(6):
        for mine, other in zip(ours[:2], theirs[:2], strict=True):  # the third never has a gradient
            if step != 2 or mine.ndim == 1:
                mine.grad = torch.randn_like(mine)
                other.grad = mine.grad.clone()
        first.step()
        expected.step()
        first.zero_grad()
        expected.zero_grad()
        assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
        if step == 3:
            state = first.state_dict()
            first = Adam(ours, 0.01)
            first.load_state_dict(state)
