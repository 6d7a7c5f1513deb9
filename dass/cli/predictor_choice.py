"""Which learned predictor `dass search` uses, and why."""

from dataclasses import dataclass, replace
from pathlib import Path

from dass.config import Params, SearchKind
from dass.errors import DassError, UsageError
from dass.files import read_json
from dass.multi_fidelity.checkpoint import MultiFidelityCard, check_fits, load_multi_fidelity
from dass.networks.importing import import_network
from dass.params_file import find_params, find_root, in_project
from dass.predictor.checkpoint import load_predictor
from dass.project import MULTI_FIDELITY_FILE, OLD_MULTI_FIDELITY_FILE, PREDICTOR_FILE, USED_PREDICTOR
from dass.shipped.card import CARD, Kind, Release, read_release
from dass.shipped.library import DATA, choose, find_release, fits, other_recipe
from dass.space.architecture import Architecture
from dass.space.search_space import RATIOS, SearchSpace
from dass.training.user_teacher import TeacherFile

SIDE = 64  # pixels, where neither user, family nor params.yaml says another
_OWN: dict[Kind, tuple[Path, ...]] = {
    "multi_fidelity": (MULTI_FIDELITY_FILE, OLD_MULTI_FIDELITY_FILE),
    "dass": (PREDICTOR_FILE,),
}


@dataclass(frozen=True)
class MethodChoice:
    """What ranks the candidates.

    Attributes:
        method: method of the search.
        file: the predictor's weights; None for a race.
        general: whether the predictor takes any teacher; else only its own space and resolution.
        why: the reason, one line for people; empty where the user has said it.
    """

    method: SearchKind
    file: Path | None
    general: bool
    why: str


def choose_predictor(
    method: str | None, name: str | None, teacher: TeacherFile, resolution: int | None, *, shipped: Path = DATA
) -> MethodChoice:
    """The predictor for a search.

    Args:
        method: as the user says; None for that of params.yaml where it fits the teacher, else for what fits.
        name: name of the predictor, as the user says; None likewise.
        teacher: file of the teacher's weights, and how to read it.
        resolution: side of its images in pixels, as the user says; None likewise.
        shipped: folder of the shipped predictors.

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
        return MethodChoice("race", None, False, "")
    space, side = students_of(teacher, resolution)
    return usual_choice(space.largest, side, method=method, shipped=shipped)


def named_predictor(name: str) -> MethodChoice:
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
        return MethodChoice(kind_of(file), file, False, "")
    path = Path(name)
    if (path / CARD).is_file():
        return _released(read_release(path), "")
    if path.is_dir() and len(weights := sorted(path.glob("*.safetensors"))) == 1:
        path = weights[0]
    if path.suffix == ".safetensors" or path.exists():
        if not path.is_file():
            raise UsageError(f"there is no predictor at {path}: run `make repro`, or give the name of a shipped one")
        return MethodChoice(kind_of(path), path, False, "")
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


def usual_choice(
    teacher: Architecture, resolution: int, *, method: str | None = None, shipped: Path = DATA
) -> MethodChoice:
    """What is used where the user names no predictor.

    The predictor that `dass predictors use` has put into the project comes first, unless the user says another method.
    Else the method is the one that the user says, or `search.method` of params.yaml, and its predictor is, in order:
    what the project's pipeline has learned; a shipped one of the teacher's search space; a general shipped one. Where
    the user has said no method and none of these fits, students race: no predictor was clearly better in
    docs/study/small-long.

    Args:
        teacher: the architecture of the teacher.
        resolution: side in pixels of the images that the teacher is given.
        method: as the user says; None for the usual one.
        shipped: folder of the shipped predictors.

    Raises:
        UsageError: there is no predictor of the method that the user says.
    """
    params, passed_over = find_params(), list[str]()
    usual = method or (params.search.method if params else None)
    recipe = params.distillation if params else None
    # A method that the user says takes the project's own predictor as it is: what does not fit is told by name.
    choice = _in_project(params, teacher, resolution, method, passed_over)
    shipped_choice = choose(teacher, resolution, shipped, kind=usual, recipe=recipe, passed_over=passed_over)
    if choice is None and usual is not None and shipped_choice is not None:
        choice = _released(
            shipped_choice.release, f"predictor {shipped_choice.release.card.name}: {shipped_choice.why}"
        )
    if choice is not None:
        return replace(choice, why="; ".join((*dict.fromkeys(passed_over), choice.why)))
    if method is not None:
        why = "; ".join(dict.fromkeys(passed_over)) or f"there is no predictor at {_OWN[_kind(method)][0]}"
        raise UsageError(
            f"--method {method}: {why}, and no shipped one fits the teacher: run `make repro`, or use --method race"
        )
    race = "race: students train, and nothing that was learned is needed"
    if usual == "race":
        race = "race: search.method of params.yaml"
    elif shipped_choice is not None:
        race += f"; `--predictor {shipped_choice.release.card.name}` fits this teacher, too"
    elif usual is not None:
        race = f"no predictor of search.method in params.yaml, {usual}, fits the teacher; {race}"
    return MethodChoice("race", None, False, "; ".join((*dict.fromkeys(passed_over), race)))


def students_of(teacher: TeacherFile, resolution: int | None) -> tuple[SearchSpace, int]:
    """The space of a teacher's students, and the side in pixels of its images.

    Args:
        teacher: file of a teacher of any supported family.
        resolution: as the user says; None for that of the teacher's family, else of params.yaml, else 64.
    """
    architecture = import_network(teacher.path, layout=teacher.layout).network.architecture
    space = SearchSpace.below(architecture, RATIOS, "block")
    usual = architecture.family.usual_resolution
    if (side := resolution or usual) is not None:
        return space, side
    params = find_params()
    return space, params.data.resolution if params else SIDE


def _in_project(
    params: Params | None, teacher: Architecture, resolution: int, method: str | None, passed_over: list[str]
) -> MethodChoice | None:
    """The predictor put to use in the project, or what its pipeline has learned; None where none fits.

    Args:
        params: parameters of the project; None outside of any.
        teacher: the architecture of the teacher.
        resolution: side in pixels of its images.
        method: as the user says; None for the predictor put to use, or else the method of params.yaml.
        passed_over: gets a line for each that is there and cannot be used.
    """
    if params is None:
        return None
    if in_project(USED_PREDICTOR).exists():
        try:
            release = read_release(in_project(USED_PREDICTOR))
            if method in (None, release.card.kind) and not fits(release, teacher, resolution):
                why = other_recipe(release, params.distillation)
                if not why:
                    why = f"predictor {release.card.name}: put to use here by `dass predictors use`"
                    return _released(release, why)
                passed_over.append(why)
        except DassError as error:
            passed_over.append(str(error))
    kind = method or params.search.method
    if kind == "race":
        return None
    if file := next(filter(Path.exists, map(in_project, _OWN[_kind(kind)])), None):
        try:
            return _own(file, params, teacher, resolution, as_it_is=method is not None)
        except DassError as error:  # damaged, of another version, or learned for another recipe
            passed_over.append(str(error))
    return None


def _own(file: Path, params: Params, teacher: Architecture, resolution: int, *, as_it_is: bool) -> MethodChoice | None:
    """The pipeline's own predictor, if it fits the teacher.

    Raises:
        UsageError: it was learned for another recipe than that of params.yaml.
        DassError: it is damaged, or of another version.
    """
    kind = kind_of(file)
    card = load_predictor(file)[1] if kind == "dass" else load_multi_fidelity(file)[1]
    if as_it_is:
        return MethodChoice(kind, file, False, "")
    if card.space.largest != teacher or card.resolution != resolution:
        return None
    if isinstance(card, MultiFidelityCard):
        check_fits(card, card.space, card.resolution, params.distillation, file)
    return MethodChoice(kind, file, False, f"{file}: what this project's pipeline has learned fits the teacher")


def _kind(method: str) -> Kind:
    return "dass" if method == "dass" else "multi_fidelity"


def _released(release: Release, why: str) -> MethodChoice:
    return MethodChoice(release.card.kind, release.weights, release.card.general, why)
