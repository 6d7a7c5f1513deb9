"""How people name what a network expects of its images."""

import math

from dass.errors import UsageError
from dass.families.blocks import HALF, IMAGENET, Normalization

KNOWN = {
    "half": HALF,  # pixels in -1..1
    "unit": Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),  # torchvision's ToTensor alone
    "imagenet": IMAGENET,
    "cifar10": Normalization((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    "cifar100": Normalization((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}


def parse_normalization(text: str) -> Normalization:
    """Reads a normalisation.

    Args:
        text: a name of `KNOWN`, or six numbers with commas: mean of red, green, blue, then their standard deviations,
            for pixels in 0..1.

    Raises:
        UsageError: neither.
    """
    if text in KNOWN:
        return KNOWN[text]
    try:
        r, g, b, dr, dg, db = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"normalization {text!r} is neither one of {', '.join(KNOWN)} nor six numbers: mean of red, green, blue "
            "and their standard deviations, for pixels in 0..1, with commas between"
        ) from None
    if not all(map(math.isfinite, (r, g, b, dr, dg, db))) or min(dr, dg, db) <= 0 or max(map(abs, (r, g, b))) > 1:
        raise UsageError(
            f"normalization {text!r}: means lie in 0..1 and standard deviations above 0, for pixels in 0..1 "
            "(divide numbers for pixels in 0..255 by 255)"
        )
    return Normalization((r, g, b), (dr, dg, db))


def normalization_name(normalization: Normalization) -> str:
    """The name that people know it by, else its six numbers."""
    for name, numbers in KNOWN.items():
        if numbers == normalization:
            return name
    return ",".join(f"{value:g}" for value in (*normalization.mean, *normalization.std))
