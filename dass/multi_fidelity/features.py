"""Proxies on a scale that all tasks and families share: 0 is the teacher, 1 is a student that knows nothing."""

from dataclasses import replace

import numpy as np

from dass.proxies.table import Column, ProxyTable, joined

Floats = np.ndarray
THIRDS = ("early", "middle", "late")


def anchored(proxies: ProxyTable, classes: int, *, alpha: float, temperature: float) -> Floats:
    """Measurements relative to the teacher's own.

    Losses and error rates are divided by the distance from the teacher's to that of a student whose outputs are
    uniform, so that they mean the same on ten classes as on forty. The others are differences from the teacher's.

    Args:
        proxies: proxies of the students and of the teacher.
        classes: number of classes of the task.
        alpha: weight of the labels in the distillation loss.
        temperature: temperature T of the distillation loss, above 0.

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
    features = []
    for column, values, teacher in zip(proxies.columns, proxies.values.T, proxies.teacher, strict=True):
        scale = 1.0 if column.measure == "difference" else ignorant[column.measure] - teacher
        feature = (values - teacher) / (scale if abs(scale) > 1e-9 else 1.0)
        features.append(np.where(np.isfinite(feature), feature, np.nan))
    return np.array(features).T


def by_thirds(proxies: ProxyTable) -> ProxyTable:
    """Puts thirds of the teacher's depth in place of its stages, so that families with other stages say the same.

    A third's depth is the share of the teacher's blocks that the student has there; its width and its likeness to the
    teacher are the means over its blocks. A stage that two thirds share counts in each by how far it reaches into it.

    Args:
        proxies: columns for each stage among others. Depths are needed where there are any such columns.

    Returns:
        The other columns, and behind them those of thirds.
    """
    stages: dict[str, list[int]] = {}
    for index, column in enumerate(proxies.columns):
        if column.per_stage:
            stages.setdefault(column.per_stage, []).append(index)
    if not stages:
        return proxies
    depths = proxies.teacher[stages["depth"]]
    ends = np.cumsum(depths) / depths.sum()
    starts = np.concatenate([[0], ends[:-1]])
    parts = [proxies.select([index for index, column in enumerate(proxies.columns) if not column.per_stage])]
    for name, indices in stages.items():
        scale = depths if name == "depth" else np.ones(len(indices))
        values, teacher = proxies.values[:, indices] / scale, proxies.teacher[indices] / scale
        reach = [np.minimum(ends, (third + 1) / 3) - np.maximum(starts, third / 3) for third in range(len(THIRDS))]
        shares = 3 * np.clip(np.array(reach), 0, None)
        fidelity = proxies.columns[indices[0]].fidelity
        columns = tuple(Column(f"{name}_{third}", fidelity) for third in THIRDS)
        parts.append(ProxyTable(columns, values @ shares.T, shares @ teacher))
    return replace(joined(parts), seconds=proxies.seconds)
