"""A whole search with a real predictor and teacher, and its file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dass.datasets.task_data import TaskData
from dass.errors import DassError, UsageError
from dass.networks.elastic_resnet import ElasticResNet
from dass.networks.remapping import remap
from dass.predictor.checkpoint import PredictorCard
from dass.predictor.embeddings import fixed_noise
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import MetaPredictor
from dass.predictor.tasks import TargetScale
from dass.sealed import read_sealed, write_sealed
from dass.search.constraints import Constraints
from dass.search.predictor_search import PredictorSearch, adapt_to
from dass.search.result import SearchResult, load_search, save_search
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from dass.tasks.task import Task
from tests.factories import teacher_card
from tests.samples import is_member

CPU = torch.device("cpu")
SPACE = SearchSpace((4, 6, 8, 10), 2, (0.5, 1.0), "block")
CARD = PredictorCard(
    space=SPACE,
    resolution=16,
    noise_seed=3,
    training=("split0",),
    validation=("split1",),
    students=8.0,
    teacher_ids=("a" * 12, "b" * 12),
    episodes=10,
    best_episode=10,
    validation_src=0.5,
    seed=0,
    precision="float32",
    device="cpu",
    torch_version="2",
    seconds=1.0,
)


@pytest.fixture(scope="module")
def predictor() -> MetaPredictor:
    model = DassPredictor(10, SPACE.code_length, seed=4)
    rates = {name: torch.full_like(w, 0.05) for name, w in model.layers.items()}
    return MetaPredictor(model, rates, 1, TargetScale(40.0, 8.0))


@pytest.fixture(scope="module")
def task() -> Task:
    torch.manual_seed(1)
    teacher = ElasticResNet(SPACE.largest, 3)
    teacher(torch.randn(8, 3, 24, 24))  # moves the running statistics
    none = torch.empty(0, 3, 24, 24, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
    data = TaskData("pets", ("a", "b", "c"), *none, *none, "0123456789ab")
    return Task(data, teacher.eval(), replace(teacher_card(teacher, data, 60.0), teacher_id="t" * 12))


@pytest.fixture(scope="module")
def search(predictor: MetaPredictor, task: Task) -> Callable[..., SearchResult]:
    def run(
        *, count: int = 40, seed: int = 0, constraints: Constraints | None = None, **changes: object
    ) -> SearchResult:
        method = PredictorSearch(predictor, CARD, "p" * 12, count, seed, CPU)
        return method.rank(replace(task, **changes), constraints or Constraints())

    return run


def test_all_candidates_are_ranked_and_the_best_is_picked(search: Callable[..., SearchResult]) -> None:
    found = search()
    assert (found.target, found.teacher_id, found.teacher_accuracy, found.predictor_id) == (
        "pets", "t" * 12, 60.0, "p" * 12,
    )  # fmt: skip
    predictions = [candidate.score for candidate in found.ranking]
    assert predictions == sorted(predictions, reverse=True)
    assert len(set(predictions)) > 20
    assert len({candidate.architecture for candidate in found.ranking}) == 40
    assert found.pick == found.ranking[0]
    assert found.seconds > 0
    for candidate in found.ranking:
        assert is_member(SPACE, candidate.architecture)
        assert candidate.cost == cost(candidate.architecture, 24, 3)
    assert found.front[-1].score == found.pick.score
    assert [c.cost.macs for c in found.front] == sorted(c.cost.macs for c in found.front)


def test_a_prediction_is_the_adapted_predictors_of_the_remapped_student(
    search: Callable[..., SearchResult], predictor: MetaPredictor, task: Task
) -> None:
    adapted, noise = adapt_to(predictor, CARD, task), fixed_noise(16, 3)
    for candidate in search().ranking[::8]:
        student = remap(task.teacher, candidate.architecture).eval()
        with torch.no_grad():
            embedding = student.features(noise)
        code = torch.from_numpy(SPACE.encode([candidate.architecture]))
        assert candidate.score == pytest.approx(float(adapted.predict(embedding, code)), abs=1e-3)


def test_the_same_search_twice_and_others(search: Callable[..., SearchResult], task: Task) -> None:
    found = search()
    assert replace(search(), seconds=0) == replace(found, seconds=0)
    assert {c.architecture for c in search(seed=1).ranking} != {c.architecture for c in found.ranking}
    better = search(card=replace(task.card, accuracy=90.0))  # a better teacher, better students
    assert better.pick.score > found.pick.score


def test_the_constraints_are_kept(search: Callable[..., SearchResult]) -> None:
    costs = sorted(candidate.cost.macs for candidate in search().ranking)
    constraints = Constraints(max_macs=costs[20] / 1e6, max_params=0.006)
    found = search(constraints=constraints, count=20)
    assert all(constraints.allows(candidate.cost) for candidate in found.ranking)
    assert found.constraints == constraints
    with pytest.raises(UsageError, match="smallest member has"):
        search(constraints=Constraints(max_macs=0.001))
    everything = search(count=10_000)
    assert len(everything.ranking) == SPACE.size < 10_000


def test_progress_reaches_the_end(predictor: MetaPredictor, task: Task) -> None:
    seen: list[tuple[int, int]] = []
    method = PredictorSearch(predictor, CARD, "p", 40, 0, CPU)
    method.rank(task, Constraints(), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (40, 40)


def test_a_teacher_of_another_size_is_refused(search: Callable[..., SearchResult]) -> None:
    other = ElasticResNet(Architecture(((4, 4), (6, 6), (8, 8), (12, 12))), 3)
    with pytest.raises(DassError, match=r"4,6,8,12 .* 4,6,8,10"):
        search(teacher=other)


def test_a_result_comes_back_from_its_file(tmp_path: Path, search: Callable[..., SearchResult]) -> None:
    path = tmp_path / "pets" / "search.json"
    found = search(constraints=Constraints(max_params=0.006))
    save_search(path, found)
    assert load_search(path) == replace(found, seconds=0.0)
    before = path.read_bytes()
    save_search(path, search(constraints=Constraints(max_params=0.006)))
    assert path.read_bytes() == before  # the same search, the same hash


def test_a_file_from_before_there_were_lower_limits_is_read(
    tmp_path: Path, search: Callable[..., SearchResult]
) -> None:
    path = tmp_path / "search.json"
    found = search(constraints=Constraints(max_params=0.006))
    save_search(path, found)
    value = read_sealed(path)
    for name in ("min_macs", "min_params"):
        assert value["budget"].pop(name) is None
    write_sealed(path, value)
    assert load_search(path) == replace(found, seconds=0.0)


@pytest.mark.parametrize("content", ["", "[]", "{}", "3", "null"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "search.json"
    path.write_text(content)
    with pytest.raises(DassError, match=r"search\.json is not") as caught:
        load_search(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["missing", "unknown", "stages", "budget", "cost"])
def test_a_file_of_another_form_is_named(tmp_path: Path, search: Callable[..., SearchResult], change: str) -> None:
    path = tmp_path / "search.json"
    save_search(path, search())
    value = read_sealed(path)
    match change:
        case "missing":
            del value["teacher_id"]
        case "unknown":
            value["more"] = 1
        case "stages":
            value["ranking"][0]["architecture"]["widths"].pop()
        case "budget":
            value["budget"] = [1]
        case "cost":
            del value["pick"]["macs"]
    write_sealed(path, value)
    with pytest.raises(DassError, match=r"search\.json") as caught:
        load_search(path)
    assert not isinstance(caught.value, UsageError)
    with pytest.raises(DassError, match=r"cannot read .*none\.json"):
        load_search(tmp_path / "none.json")
