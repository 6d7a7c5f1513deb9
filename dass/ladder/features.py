"""Evidence on a scale that all tasks share: 0 is the teacher, 1 is a student that knows nothing."""

import numpy as np

from dass.evidence.evidence import Evidence

Floats = np.ndarray


def anchored(evidence: Evidence, classes: int, *, alpha: float, temperature: float) -> Floats:
    """Measurements relative to the teacher's own.

    Losses and error rates are divided by the way from the teacher's to that of a student whose outputs are uniform,
    so that they mean the same on ten classes as on forty. The others are differences from the teacher's.

    Args:
        evidence: with the teacher's row.
        classes: of the task.
        alpha: weight of the labels in the distillation loss.
        temperature: T of the distillation loss.

    Returns:
        [n, f]; NaN where a measurement broke down.
    """
    uniform = np.log(classes)
    ignorant = {
        "accuracy": 1 / classes,
        "loss": uniform,
        "kd_loss": (alpha + (1 - alpha) * temperature**2) * uniform,
        "agreement": 1 / classes,
    }
    columns = []
    for name, values, own in zip(evidence.names, evidence.values.T, evidence.teacher, strict=True):
        kind = next((kind for kind in ("kd_loss", "accuracy", "loss", "agreement") if name.endswith(kind)), None)
        way = ignorant[kind] - own if kind else 1.0
        column = (values - own) / (way if abs(way) > 1e-9 else 1.0)
        columns.append(np.where(np.isfinite(column), column, np.nan))
    return np.array(columns).T
