"""Which learned predictor `dass search` uses, and why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dass.config import Params
from dass.errors import DassError, UsageError
from dass.files import read_json
from dass.multi_fidelity.checkpoint import MultiFidelityCard, check_fits, load_multi_fidelity
from dass.networks.importing import import_network
from dass.params_file import find_root, in_project, load_params
from dass.predictor.checkpoint import load_predictor
from dass.project import MULTI_FIDELITY_FILE, PREDICTOR_FILE
from dass.shipped.card import CARD, Kind, Release, read_release
from dass.shipped.library import DATA, choose, find_release
from dass.space.architecture import Architecture
from dass.space.search_space import RATIOS, SearchSpace
from dass.training.user_teacher import TeacherFile

Method = Literal["dass", "multi_fidelity", "race"]


@dataclass(frozen=True)
class Choice:
    """What ranks the candidates.

    Attributes:
        method: how.
        file: the predictor's weights; None for a race.
        general: whether the predictor takes any teacher; else only its own space and resolution.
        why: the reason, one line for people; empty where the user has said it.
    """

    method: Method
    file: Path | None
    general: bool
    why: str


def choose_predictor(method: str | None, name: str | None, teacher: TeacherFile, resolution: int | None) -> Choice:
    """The predictor for a search.

    Args:
        method: as the user says; None for what fits.
        name: of the predictor, as the user says; None likewise.
        teacher: the teacher.
        resolution: side of its images in pixels, as the user says; None likewise.

    Raises:
        UsageError: there is no such predictor, none of that method, or it is of another method.
        DassError: the predictor or the teacher is damaged.
    """
    if name is not None:
        choice = named_predictor(name)
        if method not in (None, choice.method):
            raise UsageError(f"--predictor {name} is a predictor of --method {choice.method}, not {method}")
        return choice
    if method == "race":
        return Choice("race", None, False, "")
    if method in ("dass", "multi_fidelity"):
        file = in_project(PREDICTOR_FILE if method == "dass" else MULTI_FIDELITY_FILE)
        if file.exists():
            return Choice(kind_of(file), file, False, "")
    space, side = students_of(teacher, resolution)
    choice = usual_choice(space.largest, side, kind=method)
    if method not in (None, choice.method):
        raise UsageError(
            f"--method {method}: there is no predictor at {file}, and no shipped one fits the teacher: run "
            "`make repro`, or use --method race"
        )
    return choice


def named_predictor(name: str) -> Choice:
    """The predictor that the user names.

    Args:
        name: a shipped predictor's name, a folder of one, a predictor's `.safetensors` file, or `models:/NAME@ALIAS`
            or `models:/NAME/VERSION` in the project's registry.

    Raises:
        UsageError: there is none.
        DassError: it is damaged.
    """
    if name.startswith("models:/"):
        from dass.tracking.release_registration import download_predictor
        from dass.tracking.store import open_store

        file = download_predictor(open_store(find_root()), name, find_root() / ".state" / "predictors")
        return Choice(kind_of(file), file, False, "")
    path = Path(name)
    if (path / CARD).is_file():
        return _released(read_release(path), "")
    if path.is_dir() and len(weights := sorted(path.glob("*.safetensors"))) == 1:
        path = weights[0]
    if path.suffix == ".safetensors" or path.exists():
        if not path.is_file():
            raise UsageError(f"there is no predictor at {path}: run `make repro`, or give the name of a shipped one")
        return Choice(kind_of(path), path, False, "")
    return _released(find_release(name), "")


def kind_of(file: Path) -> Kind:
    """What kind of predictor a file is, from the JSON beside it.

    Raises:
        DassError: there is none, or it is of neither kind.
    """
    facts = read_json(file.with_suffix(".json"))
    if isinstance(facts, dict) and "inner_steps" in facts:
        return "dass"
    if isinstance(facts, dict) and "groups" in facts:
        return "multi_fidelity"
    raise DassError(f"{file.with_suffix('.json')} is of no predictor: give the .safetensors file of one")


def usual_choice(teacher: Architecture, resolution: int, *, kind: str | None = None, shipped: Path = DATA) -> Choice:
    """What is used where the user names no method and no predictor.

    In order: what the project's pipeline has learned for its params.yaml, where the teacher is the one of that search
    space; a shipped predictor of the teacher's search space; a general shipped one; a race.

    Args:
        teacher: the architecture of the teacher.
        resolution: side in pixels of the images that the teacher is given.
        kind: of the predictor, of which the project has none; None for any.
        shipped: folder of the shipped predictors.
    """
    params = load_params(in_project(Path("params.yaml")))
    for file in (in_project(MULTI_FIDELITY_FILE), in_project(PREDICTOR_FILE)) if kind is None else ():
        if (own := _own(file, params, teacher, resolution)) is not None:
            return own
    if (found := choose(teacher, resolution, shipped, kind=kind)) is not None:
        return _released(found.release, f"predictor {found.release.card.name}: {found.why}")
    return Choice("race", None, False, "race: no predictor was learned for such a teacher, so students train")


def students_of(teacher: TeacherFile, resolution: int | None) -> tuple[SearchSpace, int]:
    """The space of a teacher's students, and the side in pixels of its images.

    Args:
        teacher: any supported teacher.
        resolution: as the user says; None for that of the teacher's family, else of params.yaml.
    """
    architecture = import_network(teacher.path, layout=teacher.layout).network.architecture
    space = SearchSpace.below(architecture, RATIOS, "block")
    usual = architecture.family.usual_resolution
    return space, resolution or usual or load_params(in_project(Path("params.yaml"))).data.resolution


def _own(file: Path, params: Params, teacher: Architecture, resolution: int) -> Choice | None:
    """The pipeline's own predictor, if it is of this params.yaml and fits the teacher."""
    if not file.exists():
        return None
    kind = kind_of(file)
    card = load_predictor(file)[1] if kind == "dass" else load_multi_fidelity(file)[1]
    if isinstance(card, MultiFidelityCard):
        try:
            check_fits(card, card.space, card.resolution, params.distillation, file)
        except UsageError:  # learned for another recipe
            return None
    if card.space.largest != teacher or card.resolution != resolution:
        return None
    return Choice(kind, file, False, f"{file}: what this project's pipeline has learned fits the teacher")


def _released(release: Release, why: str) -> Choice:
    return Choice(release.card.kind, release.weights, release.card.general, why)
