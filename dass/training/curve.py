"""A teacher's learning curve, kept beside its weights so that a run which finds them can still show it."""

from dataclasses import dataclass
from pathlib import Path

from dass.cards import CardFormat
from dass.training.member import EpochEvaluation


@dataclass(frozen=True)
class Curve:
    """How training went.

    Attributes:
        evaluations: test evaluations, in order.
        losses: mean training loss of each epoch.
    """

    evaluations: tuple[EpochEvaluation, ...]
    losses: tuple[float, ...]


CURVES = CardFormat(Curve, "a learning curve", "restore it with `dvc checkout`")


def curve_path(path: Path) -> Path:
    """Where the curve of the weights at `path` is."""
    return path.with_suffix(".curve.json")


def save_curve(path: Path, curve: Curve) -> None:
    """Writes a curve beside the weights at `path`, atomically."""
    CURVES.write(curve_path(path), curve)


def load_curve(path: Path) -> Curve:
    """The curve beside the weights at `path`; an empty one where there is none, as for an imported teacher.

    Raises:
        DassError: the file is not a curve.
    """
    return CURVES.read(curve_path(path)) if curve_path(path).exists() else Curve((), ())
