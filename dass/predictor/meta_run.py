"""What changes while a predictor is meta-trained, and a file that keeps it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dass.predictor.scorer import MetaPredictor
from dass.sealed import read_state, write_state
from dass.training.adam import Adam


@dataclass(frozen=True)
class Validation:
    """One look at the validation tasks.

    Attributes:
        episode: number of outer steps done, from 1.
        loss: mean query loss of the episodes since the last look, on the network's scale.
        src: mean Spearman correlation over the validation tasks.
    """

    episode: int
    loss: float
    src: float


class Run:
    """What changes while training: weights, rates, Adam's moments, and the best so far.

    Rows of the matrices that would only meet padding are not trained: their gradient is zero.

    Args:
        start: the predictor before training; its rates are not looked at.
        side: side of the embeddings, in pixels.
        inner_rate: initial value of the inner learning rates, above 0.
        learning_rate: learning rate of Adam, above 0.
        fixed_rates: keep the inner rates as they start.
    """

    def __init__(
        self, start: MetaPredictor, side: int, inner_rate: float, learning_rate: float, fixed_rates: bool
    ) -> None:
        self._start = start
        self._side = side
        self._inner_rate = inner_rate
        self.predictor = start.predictor.for_side(side)
        self.weights = dict(self.predictor.layers.items())
        self.rates = {name: torch.full_like(w, inner_rate).requires_grad_() for name, w in self.weights.items()}
        learned = [*self.weights.values(), *([] if fixed_rates else self.rates.values())]
        for rate in self.rates.values():
            rate.requires_grad_(not fixed_rates)
        self.optimizer = Adam(learned, learning_rate)
        self.history: list[Validation] = []
        self._best: dict[str, dict[str, Tensor]] = {}

    @property
    def episode(self) -> int:
        """Episodes done."""
        return self.history[-1].episode if self.history else 0

    @property
    def best(self) -> Validation:
        """The first look with the highest SRC."""
        return max(self.history, key=lambda look: look.src)

    def record(self, validation: Validation) -> None:
        """Keeps the weights if they are the best so far."""
        self.history.append(validation)
        if self.best is validation:
            self._best = self._state()

    def meta_predictor(self) -> MetaPredictor:
        """The predictor as it stands; it changes with further training."""
        rates = {name: rate.detach() for name, rate in self.rates.items()}
        return replace(self._start, predictor=self.predictor, rates=rates)

    def best_predictor(self) -> MetaPredictor:
        """The predictor at its best, for embeddings of any side."""
        whole = self._start.predictor.requires_grad_(False)
        rates = {name: torch.full_like(matrix, self._inner_rate) for name, matrix in whole.layers.items()}
        for name, matrix in whole.layers.items():
            rows = whole.rows(name, self._side).to(matrix.device)
            matrix[rows] = self._best["weights"][name].to(matrix.device)
            rates[name][rows] = self._best["rates"][name].to(matrix.device)
        return replace(self._start, rates=rates)

    def _state(self) -> dict[str, dict[str, Tensor]]:
        return {
            kind: {name: tensor.detach().clone() for name, tensor in tensors.items()}
            for kind, tensors in (("weights", self.weights), ("rates", self.rates))
        }

    def save(self, path: Path, identity: str) -> None:
        """Writes all of it, atomically; `identity` names settings and data."""
        state = {
            "identity": identity,
            "now": self._state(),
            "best": self._best,
            "adam": self.optimizer.state_dict(),
            "history": [asdict(look) for look in self.history],
        }
        write_state(path, state)

    def load(self, path: Path, identity: str) -> None:
        """Goes on from what `save` wrote under the same identity; does nothing where that is another.

        Raises:
            DassError: the file is damaged.
        """
        state: dict[str, Any] = read_state(path, "meta-training")
        if not isinstance(state, dict) or state.get("identity") != identity:
            return
        with torch.no_grad():
            for kind, tensors in (("weights", self.weights), ("rates", self.rates)):
                for name, tensor in tensors.items():
                    tensor.copy_(state["now"][kind][name])
        self._best = state["best"]
        self.optimizer.load_state_dict(state["adam"])
        self.history = [Validation(**look) for look in state["history"]]
