"""The shipped predictors, and which of them fits a teacher."""

from dataclasses import dataclass
from pathlib import Path

from dass.config import DistillationRecipe
from dass.errors import DassError, UsageError
from dass.proxies.recipe_facts import other_settings
from dass.shipped.card import CARD, Release, read_release
from dass.space.architecture import Architecture

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class FittingRelease:
    """A predictor that fits a teacher.

    Attributes:
        release: released predictor.
        why: the reason, for people.
    """

    release: Release
    why: str


def releases(folder: Path = DATA) -> list[Release]:
    """All shipped predictors, by name.

    Raises:
        DassError: one of them is damaged.
    """
    return [read_release(path.parent) for path in sorted(folder.glob(f"*/{CARD}"))]


def find_release(name: str, folder: Path = DATA) -> Release:
    """A shipped predictor by its name.

    Raises:
        UsageError: there is none of that name; the message names those that there are.
        DassError: it is damaged.
    """
    if not (folder / name / CARD).is_file():
        names = ", ".join(path.parent.name for path in sorted(folder.glob(f"*/{CARD}"))) or "none"
        raise UsageError(f"there is no shipped predictor {name!r}: there are {names}")
    return read_release(folder / name)


def fits(release: Release, teacher: Architecture, resolution: int) -> str:
    """Why a release does not fit a teacher; empty where it does.

    Args:
        release: released predictor.
        teacher: the architecture of the teacher.
        resolution: side in pixels of the images that the teacher is given.
    """
    if release.card.general:
        return ""
    if teacher.family.name not in release.card.families:
        return f"it learned from teachers of {', '.join(release.card.families)}, not {teacher.family.name}"
    if resolution != release.card.resolution:
        return f"it learned from images of {release.card.resolution} pixels, not {resolution}"
    largest = _largest(release)
    if teacher != largest:
        return f"it learned from teachers of depths and widths {largest.stage_label}, not {teacher.stage_label}"
    return ""


def other_recipe(release: Release, recipe: DistillationRecipe | None) -> str:
    """Why a release does not predict students of a recipe; empty where it does.

    Args:
        release: released predictor.
        recipe: recipe of the distillation; None for the recipe that the release was learned for.
    """
    known = release.card.recipe  # nothing for the paper's predictor, which predicts a ranking
    if recipe is None or not known:
        return ""
    other = other_settings(recipe, known)
    return f"predictor {release.card.name} was learned with another {', '.join(other)}" if other else ""


def choose(
    teacher: Architecture,
    resolution: int,
    folder: Path = DATA,
    *,
    kind: str | None = None,
    recipe: DistillationRecipe | None = None,
    passed_over: list[str] | None = None,
) -> FittingRelease | None:
    """The shipped predictor for a teacher: one of its own search space, else a general one; None where none fits.

    Among those of the teacher's space, and among general ones, a multi-fidelity predictor comes first, and then the
    one that learned from more students. A damaged release is never chosen.

    Args:
        teacher: the architecture of the teacher.
        resolution: side in pixels of the images that the teacher is given.
        folder: folder of the releases.
        kind: kind of the predictor; None for any.
        recipe: recipe of the students to be predicted; None for the recipe that a predictor was learned for.
        passed_over: gets a line for each predictor that takes the teacher and not the recipe.
    """
    fitting = []
    for path in sorted(folder.glob(f"*/{CARD}")):
        try:
            release = read_release(path.parent)
            if kind not in (None, release.card.kind) or fits(release, teacher, resolution):
                continue
            if why := other_recipe(release, recipe):
                if passed_over is not None:
                    passed_over.append(why)
                continue
            fitting.append(release)
        except DassError:
            continue
    if not fitting:
        return None
    best = min(fitting, key=lambda one: (one.card.general, one.card.kind != "multi_fidelity", -one.card.students))
    card = best.card
    learned = f"it learned from {card.students} students of {sum(source.tasks for source in card.sources)} tasks"
    if card.general:
        return FittingRelease(
            best, f"no predictor was learned for this teacher's search space, and it takes any; {learned}"
        )
    return FittingRelease(best, f"it was learned for this teacher's search space at {resolution} pixels; {learned}")


def _largest(release: Release) -> Architecture:
    if release.card.kind == "dass":
        from dass.predictor.checkpoint import load_predictor

        return load_predictor(release.weights)[1].space.largest
    from dass.multi_fidelity.checkpoint import load_multi_fidelity

    return load_multi_fidelity(release.weights)[1].space.largest
