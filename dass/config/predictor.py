"""Block `predictor` of params.yaml: how the paper's predictor is meta-learned."""

from typing import Literal

from pydantic import Field

from dass.config.values import Block

Statistics = Literal["running", "batch"]
"""Which statistics batch norms take of the noise: see `Predictor.statistics`."""


class Predictor(Block):
    """Meta-learning of the predictor (Section 4, Appendix D.2).

    Attributes:
        episodes: outer steps; each uses every training task.
        query: students of each task in one episode (at most as many as there are records).
        inner_steps: gradient steps of the guide, 0 for none.
        inner_rate: start of the learned rates, one per weight.
        learning_rate: Adam's, for weights and rates alike.
        validate_every: episodes between checkpoints chosen by mean validation SRC.
        statistics: of the batch norms while networks respond to the noise image: `running`, those of the teacher's
            training images, or `batch`, the noise's own. The paper does not say which.
        unit: percent of accuracy that count as 1 in the network's target; 1, raw percent, is the paper's code's.
    """

    # The unit sets how far one step of Adam moves a prediction, and how strongly the guide moves the encoders through
    # the last layer's weights. Chosen on source tasks alone, the ten of preset small, each pair of one group of classes
    # left out to validate (200 episodes, seed 0): mean SRC at the best look, and at the last, in units of 100 points
    # 0.854, 0.846; 50: 0.859, 0.834; 20: 0.829, 0.763; 10: 0.826, 0.747; standardised 0.860, 0.848, which breaks down
    # where a teacher is far more accurate than any in training.

    episodes: int = Field(ge=1, le=1_000_000)
    query: int = Field(ge=2, le=10_000)
    inner_steps: int = Field(ge=0, le=100)
    inner_rate: float = Field(gt=0, le=10)
    learning_rate: float = Field(gt=0, le=1)
    validate_every: int = Field(ge=1)
    statistics: Statistics = "running"
    unit: float = Field(gt=0, le=1000, default=50.0)
