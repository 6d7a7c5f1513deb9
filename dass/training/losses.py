"""What a network is trained towards."""

import torch
import torch.nn.functional as F
from torch import Tensor


def distillation_loss(
    logits: Tensor, labels: Tensor, teacher_logits: Tensor, alpha: float, temperature: float
) -> Tensor:
    """Cross entropy to the labels and, softened, to the teacher (Eqs. 11 and 12 as the authors run them).

    `alpha * H(labels, student) + (1 - alpha) * T^2 * H(softmax(teacher / T), softmax(student / T))`, averaged over
    the batch. Eq. 12 as printed lacks T^2, which keeps the soft gradients at the size of the hard ones.

    Args:
        logits: student's outputs before softmax, float32 [b, classes].
        labels: class of each image of the batch, int64 [b].
        teacher_logits: float32 [b, classes]; no gradient flows into them.
        alpha: weight of the labels in the distillation loss, 0..1.
        temperature: temperature T of the distillation loss, above 0.

    Returns:
        A scalar.
    """
    hard = F.cross_entropy(logits, labels)
    soft = F.cross_entropy(logits / temperature, torch.softmax(teacher_logits.detach() / temperature, dim=1))
    return alpha * hard + (1 - alpha) * temperature**2 * soft


def label_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross entropy to labels of which a share `smoothing` (0..1) is spread evenly over all classes.

    Args:
        logits: outputs before softmax, float32 [b, classes].
        labels: class of each image of the batch, int64 [b].
        smoothing: share (0..1) of the label that is spread over all classes; 0 for plain labels.

    Returns:
        A scalar, averaged over the batch.
    """
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)
