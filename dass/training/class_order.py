"""The order of a network's outputs against the order of a dataset's classes."""

import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor

from dass.errors import UsageError
from dass.networks.elastic_resnet import ElasticResNet


def plain_name(name: str) -> str:
    """A class name as names are compared: without case, blanks, dashes, underscores and kinds of accents."""
    return "".join(part for part in unicodedata.normalize("NFKC", name).casefold() if part.isalnum())


def order_of(names: Sequence[str], classes: Sequence[str]) -> list[int] | None:
    """Which output stands for each class.

    Args:
        names: names of the outputs, in their order.
        classes: class names of the dataset, in label order.

    Returns:
        One index into `names` for each class; None where the names are not those of the classes.
    """
    for form in (str, plain_name):
        places = {form(name): index for index, name in enumerate(names)}
        wanted = [form(name) for name in classes]
        if len(places) == len(names) and sorted(places) == sorted(wanted):
            return [places[name] for name in wanted]
    return None


def explicit_order(names: Sequence[str], classes: Sequence[str], where: str) -> list[int]:
    """`order_of` for names that a user gave.

    Raises:
        UsageError: they are not those of the classes; the message names the first that is odd.
    """
    order = order_of(names, classes)
    if order is None:
        expected, named = set(map(plain_name, classes)), set(map(plain_name, names))
        missing = [name for name in classes if plain_name(name) not in named]
        odd = [name for name in names if plain_name(name) not in expected]
        parts = [f"lacks {missing[0]!r}" if missing else "", f"has the unknown {odd[0]!r}" if odd else ""]
        what = " and ".join(filter(None, parts)) or "names a class twice"
        raise UsageError(f"{where}: the list of {len(names)} classes {what}; the dataset has {len(classes)} classes")
    return order


@torch.no_grad()
def reorder_outputs(network: ElasticResNet, order: Sequence[int]) -> None:
    """Puts the outputs of a network into another order, in place.

    Args:
        network: network whose linear layer is changed.
        order: for each new output the old one.
    """
    for part in (network.head.weight, network.head.bias):
        part.copy_(part[torch.tensor(order, device=part.device)])


def best_reordering(logits: Tensor, labels: Tensor) -> float:
    """Percent that the outputs would reach in their best order.

    Args:
        logits: outputs before softmax, [n, classes].
        labels: class of each image, int64 [n].
    """
    from scipy.optimize import linear_sum_assignment

    classes = logits.shape[1]
    counts = torch.zeros(classes, classes, dtype=torch.int64)
    counts.index_put_((logits.argmax(1).cpu(), labels.cpu()), torch.ones(len(labels), dtype=torch.int64), True)
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    return 100 * int(counts.numpy()[rows, columns].sum()) / max(1, len(labels))
