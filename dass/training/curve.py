"""A teacher's learning curve, kept beside its weights so that a run which finds them can still show it."""

from dataclasses import asdict, dataclass
from pathlib import Path

from dass.errors import DassError
from dass.sealed import read_sealed, write_sealed
from dass.training.member import EpochEvaluation


@dataclass(frozen=True)
class Curve:
    """How training went.

    Attributes:
        evaluations: test evaluations, in order.
        losses: mean training loss of each epoch.
    """

    evaluations: tuple[EpochEvaluation, ...] = ()
    losses: tuple[float, ...] = ()


def curve_path(path: Path) -> Path:
    """Where the curve of the weights at `path` is."""
    return path.with_suffix(".curve.json")


def save_curve(path: Path, curve: Curve) -> None:
    """Writes a curve beside the weights at `path`, atomically."""
    write_sealed(curve_path(path), asdict(curve))


def load_curve(path: Path) -> Curve:
    """The curve beside the weights at `path`; an empty one where there is none, as for an imported teacher.

    Raises:
        DassError: the file is not a curve.
    """
    if not curve_path(path).exists():
        return Curve()
    value = read_sealed(curve_path(path))
    try:
        return Curve(tuple(EpochEvaluation(**point) for point in value["evaluations"]), tuple(value["losses"]))
    except (KeyError, TypeError) as error:
        raise DassError(f"{curve_path(path)} is not a learning curve: restore it with `dvc checkout`") from error
