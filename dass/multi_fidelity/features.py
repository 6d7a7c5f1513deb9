"""ProxyTable on a scale that all tasks and families share: 0 is the teacher, 1 is a student that knows nothing."""

import re

import numpy as np

from dass.proxies.table import ProxyTable

Floats = np.ndarray
THIRDS = ("early", "middle", "late")
PER_STAGE = re.compile(r"(depth|width|similarity)_(\d+)")


def anchored(proxies: ProxyTable, classes: int, *, alpha: float, temperature: float) -> Floats:
    """Measurements relative to the teacher's own.

    Losses and error rates are divided by the way from the teacher's to that of a student whose outputs are uniform,
    so that they mean the same on ten classes as on forty. The others are differences from the teacher's.

    Args:
        proxies: with the teacher's row.
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
    for name, values, own in zip(proxies.names, proxies.values.T, proxies.teacher, strict=True):
        kind = next((kind for kind in ("kd_loss", "accuracy", "loss", "agreement") if name.endswith(kind)), None)
        way = ignorant[kind] - own if kind else 1.0
        column = (values - own) / (way if abs(way) > 1e-9 else 1.0)
        columns.append(np.where(np.isfinite(column), column, np.nan))
    return np.array(columns).T


def by_thirds(proxies: ProxyTable) -> ProxyTable:
    """Puts thirds of the teacher's depth in place of its stages, so that families with other stages say the same.

    A third's depth is the share of the teacher's blocks that the student has there; its width and its likeness to the
    teacher are the means over its blocks. A stage that two thirds share counts in each by how far it reaches into it.

    Args:
        proxies: columns `depth_1`, `width_1`, `similarity_1` and so on, one for each stage, among others. Depths are
            needed where there are any of these.

    Returns:
        The other columns, and behind them those of thirds.
    """
    stages = [name for name in proxies.names if name.startswith("depth_")]
    if not stages:
        return proxies
    columns = dict(zip(proxies.names, proxies.values.T, strict=True))
    own = dict(zip(proxies.names, proxies.teacher.tolist(), strict=True))
    ends = np.cumsum([own[name] for name in stages]) / sum(own[name] for name in stages)
    starts = np.concatenate([[0], ends[:-1]])
    kept = {name: (values, own[name]) for name, values in columns.items() if not PER_STAGE.fullmatch(name)}
    kinds = [match[1] for name in proxies.names if (match := PER_STAGE.fullmatch(name)) and match[2] == "1"]
    for kind in kinds:
        names = [f"{kind}_{stage + 1}" for stage in range(len(stages))]
        scale = np.array([own[name] if kind == "depth" else 1.0 for name in names])
        whole = np.array([own[name] for name in names]) / scale
        values = np.array([columns[name] for name in names]) / scale[:, None]
        for index, third in enumerate(THIRDS):
            reach = np.minimum(ends, (index + 1) / 3) - np.maximum(starts, index / 3)
            share = np.clip(reach, 0, None) * 3
            kept[f"{kind}_{third}"] = (share @ values, float(share @ whole))
    return ProxyTable(
        tuple(kept),
        np.array([values for values, _ in kept.values()]).T.reshape(len(proxies.values), len(kept)),
        np.array([teacher for _, teacher in kept.values()]),
        proxies.seconds,
    )
