"""`dass search` with a real predictor, teacher and images, all tiny."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from dass.datasets.importing import import_dataset
from dass.errors import DassError
from dass.fidelity import FIDELITIES, Fidelity
from dass.multi_fidelity.checkpoint import MultiFidelityCard, save_multi_fidelity
from dass.multi_fidelity.predictor import MultiFidelityPredictor
from dass.params_file import load_params
from dass.predictor.checkpoint import PredictorCard, save_predictor
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import MetaPredictor
from dass.predictor.tasks import TargetScale
from dass.project import MULTI_FIDELITY_FILE
from dass.proxies.recipe_facts import recipe_facts
from dass.search.budget import SearchBudget
from dass.search.successive_halving import MultiFidelitySearch
from dass.space.architecture import Architecture
from dass.space.search_space import SearchSpace
from tests.factories import make_teacher
from tests.samples import is_member
from tests.unit.cli.conftest import ROOT
from tests.unit.multi_fidelity.test_predictor import make_task

SPACE = SearchSpace((4, 6, 8, 10), 2, (0.5, 1.0), "block")
TEACHER = "mine.safetensors"
AT_CHANCE = ("--expect-accuracy", 0)
Search = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a predictor, a teacher and a class folder of images, also as a zip and packed."""
    folder = tmp_path_factory.mktemp("made")
    model = DassPredictor(10, SPACE.code_length, seed=4)
    rates = {name: torch.full_like(matrix, 0.05) for name, matrix in model.layers.items()}
    card = PredictorCard(
        space=SPACE, resolution=16, noise_seed=3, training=("split0",), validation=("split1",), students=8.0,
        teacher_ids=("a", "b"), episodes=10, best_episode=10, validation_src=0.5, seed=0, precision="float32",
        device="cpu", torch_version="2", seconds=1.0,
    )  # fmt: skip
    path = folder / "data" / "predictor" / "predictor.safetensors"
    save_predictor(path, MetaPredictor(model, rates, 1, TargetScale(40.0, 8.0)), card)
    save_file(make_teacher(SPACE.largest, 2).state_dict(), folder / TEACHER)  # random: see AT_CHANCE
    for index, name in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng([index, number]).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{number}.png")
    shutil.make_archive(str(folder / "images"), "zip", folder / "images")
    import_dataset("pets", folder / "images", folder / "data" / "raw", 16)
    import_dataset("pets", folder / "images", folder / "data" / "raw", 24)
    return folder


@pytest.fixture
def project(project: Path, made: Path) -> Path:
    """The project with all that."""
    shutil.copytree(made, project, dirs_exist_ok=True)
    return project


@pytest.fixture
def search(dass: Callable) -> Search:
    """Searches and gives the JSON value."""

    def run(*more: object, data: object = "pets", candidates: int = 30) -> dict[str, Any]:
        said = dass(
            "search", "--data", data, "--teacher", TEACHER, *AT_CHANCE, "--candidates", candidates, "--json", *more
        )
        assert said.code == 0, said.err
        return json.loads(said.out)

    return run


def test_the_best_first_with_their_costs(search: Search) -> None:
    found = search("--top", 5)
    assert (found["target"], found["candidates"]) == ("pets", 30)
    assert 0 <= found["teacher_accuracy"] <= 100
    predicted = [row["predicted_accuracy"] for row in found["ranking"]]
    assert len(predicted) == 5
    assert predicted == sorted(predicted, reverse=True)
    for row in found["ranking"]:
        architecture = Architecture.from_json(row["architecture"])
        assert is_member(SPACE, architecture)
        assert row["arch_id"] == architecture.arch_id
        assert {"parameters", "macs", "macs_bn1", "macs_bn3_pool"} <= set(row)


def test_packed_by_name_or_folder_and_images_in_a_folder_or_zip_rank_alike(search: Search) -> None:
    found = [search(data=data) for data in ("pets", "data/raw/pets-16", "images", "images.zip")]
    assert len({json.dumps([one["teacher_accuracy"], one["ranking"]]) for one in found}) == 1
    assert not list(Path().glob("**/dataset-16"))  # what was packed for the occasion is gone


def test_what_is_left_out_of_images_is_told(dass: Callable) -> None:
    """On stderr, so that the ranking is all of stdout; too many broken images end the search, and are listed."""

    def run() -> Any:
        return dass("search", "--data", "images", "--teacher", TEACHER, *AT_CHANCE, "--candidates", 5, "--json")

    Path("images/train/cat/0.png").write_bytes(b"broken")
    Path("images/train/cat/notes.txt").write_text("hello")
    said = run()
    assert said.code == 0 and json.loads(said.out)["target"] == "images"
    assert "train/cat/0.png" in said.err and "1 .txt" in said.err and "cat, dog" in said.err
    Path("images/train/dog/1.png").write_bytes(b"")
    said = run()
    listed = Path("data/raw/images-16-broken.txt")
    assert said.code == 1 and str(listed) in said.err and "--skip-broken" in said.err
    assert [line.split("\t")[0] for line in listed.read_text().splitlines()] == ["train/cat/0.png", "train/dog/1.png"]


def test_outside_of_any_project(
    dass: Callable, made: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A race needs no params.yaml; nor has a method to be named."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    use = ("--data", made / "images.zip", "--teacher", made / TEACHER, *AT_CHANCE, "--resolution", 16)
    said = dass("search", *use, "--one-batch", 6, "--k-step", 2, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["method"], found["candidates"]) == ("race", 2)


def test_packed_images_are_taken_at_the_side_they_have(
    dass: Callable, refuses: Callable, project: Path, made: Path
) -> None:
    """By name, a race takes what is there; where there are several, the user says which."""
    race = ("--teacher", TEACHER, *AT_CHANCE, "--method", "race", "--one-batch", 4, "--k-step", 2, "--json")
    params = project / "params.yaml"
    params.write_text(re.sub(r"batch_size: \d+", "batch_size: 4", params.read_text()))
    (project / "data" / "raw" / "pets-16").rename(project / "data" / "raw" / "cats-24x")
    said = dass("search", "--data", "pets", *race)
    assert said.code == 0, said.err  # at 24 pixels, though 16 is usual here
    import_dataset("pets", made / "images", project / "data" / "raw", 32)
    line = refuses(2, "search", "--data", "pets", *race)
    assert "24" in line and "32" in line and "--resolution" in line
    assert "24" in refuses(2, "search", "--data", "pets", "--resolution", 40, *race)
    assert dass("search", "--data", "pets", "--resolution", 32, *race).code == 0


def test_within_a_budget(search: Search) -> None:
    macs = sorted(row["macs"] for row in search("--top", 100)["ranking"])
    limit = macs[15] / 1e6
    found = search("--max-macs", limit, "--max-params", 0.006, "--top", 100, candidates=10)
    assert len(found["ranking"]) == 10
    assert all(row["macs"] <= macs[15] and row["parameters"] <= 6000 for row in found["ranking"])


@pytest.mark.parametrize(("front", "key"), [("macs", "macs"), ("parameters", "parameters"), ("latency", "latency_ms")])
def test_a_front_costs_more_for_each_gain(search: Search, front: str, key: str) -> None:
    rows = search("--front", front, candidates=40)["ranking"]
    predictions = [row["predicted_accuracy"] for row in rows]
    assert predictions == sorted(predictions)
    assert len(rows) >= 1
    assert all(row[key] > 0 for row in rows)
    if front != "latency":  # measured, and so in no certain order
        assert [row[key] for row in rows] == sorted(row[key] for row in rows)


def test_the_seed_makes_the_sample(search: Search) -> None:
    assert search()["ranking"] != search("--seed", 1)["ranking"]
    assert search()["ranking"] == search("--seed", 0)["ranking"]


def test_as_a_table(dass: Callable) -> None:
    said = dass(
        "search", "--data", "pets", "--teacher", TEACHER, *AT_CHANCE, "--candidates", 20, "--top", 3, "--max-params", 1
    )
    assert said.code == 0
    assert "pets: best of 20 within 1 M parameters; teacher " in said.out
    rows = [line for line in said.out.splitlines() if line.startswith("│")]
    assert len(rows) == 4  # the last is the teacher's
    assert sum("pick" in row for row in rows) == 1 and "teacher" in rows[-1]
    assert "ms per candidate" in said.out


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"--data": "cats"}, "cats: neither a packed dataset (data/raw/cats-16) nor a folder or zip of images"),
        ({"--data": "data/raw/pets-24"}, "data/raw/pets-24 is packed at 24 pixels, and 16 are needed"),
        ({"--teacher": "none.pt"}, "there is no checkpoint at none.pt"),
        ({"--predictor": "none.safetensors"}, "there is no predictor at none.safetensors: run `make repro`, or give"),
        ({"--max-macs": "0.01"}, "the smallest member has"),
        ({"--device": "tpu"}, "unknown device 'tpu'"),
        ({"--candidates": "few"}, "Invalid value for '--candidates'"),
        ({"--one-batch": "9", "--k-step": "0"}, "--one-batch, --k-step: not with --method dass"),
        ({"--seconds": "9"}, "--seconds: not with --method dass"),
        ({"--method": "race", "--k-step": "0"}, "k_step"),
        ({"--method": "race", "--k-step": "3", "--seconds": "9"}, "seconds"),
        ({"--method": "race", "--k-step": "30"}, "30 students"),
        ({"--workers": "0", "--method": "multi_fidelity"}, "Invalid value for '--workers'"),
    ],
)
def test_wrong_use(refuses: Callable, changes: dict[str, str], line: str) -> None:
    options = {"--data": "pets", "--teacher": TEACHER, "--candidates": "20", "--expect-accuracy": "0"} | changes
    assert line in refuses(2, "search", *(word for option in options.items() for word in option))


def test_device_from_the_environment(refuses: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASS_DEVICE", "tpu")
    assert "unknown device 'tpu'" in refuses(2, "search", "--data", "pets", "--teacher", TEACHER, *AT_CHANCE)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multi-fidelity predictor of that space, learned from made-up students."""
    recipe = load_params(ROOT / "presets" / "demo.yaml").distillation
    predictor = MultiFidelityPredictor(alpha=recipe.alpha, temperature=recipe.temperature).fit(
        [make_task(seed) for seed in range(3)], FIDELITIES[: Fidelity("steps", 10).level + 1]
    )
    card = MultiFidelityCard(SPACE, 16, recipe_facts(recipe), ("split0",), ("a",), 72, {}, {}, 3, "cpu", "2", 1.0)
    path = tmp_path_factory.mktemp("learned") / MULTI_FIDELITY_FILE.name
    save_multi_fidelity(path, predictor, card)
    return path


@pytest.fixture
def multi_fidelity(learned: Path, project: Path) -> None:
    """It, in the project."""
    shutil.copytree(learned.parent, project / MULTI_FIDELITY_FILE.parent)


def test_how_far_the_multi_fidelity_predictor_goes_and_over_how_many_workers(
    refuses: Callable, multi_fidelity: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASS_WORKERS", "3")
    counts, budgets = [], []

    def rank(method: MultiFidelitySearch, *_: object) -> None:
        counts.append(method.workers)
        budgets.append(method.budget)
        raise DassError("far enough")

    monkeypatch.setattr(MultiFidelitySearch, "rank", rank)
    use = (
        "search",
        "--data",
        "pets",
        "--teacher",
        TEACHER,
        *AT_CHANCE,
        "--method",
        "multi_fidelity",
        "--device",
        "cpu",
    )
    for more in (
        (), ("--k-step", 0, "--one-batch", 60, "--workers", 2), ("--candidates", 5), ("--seconds", 9),
        ("--seconds", 9, "--one-batch", 7),
    ):  # fmt: skip
        assert refuses(1, *use, *more) == "far enough"
    block = load_params(Path("params.yaml")).search
    assert budgets == [
        SearchBudget(candidates=3000, one_batch=block.one_batch, k_step=block.k_step),
        SearchBudget(candidates=3000, one_batch=60, k_step=0),
        SearchBudget(candidates=5, one_batch=5, k_step=5),
        SearchBudget(candidates=3000, one_batch=3000, k_step=block.k_step, seconds=9),
        SearchBudget(candidates=3000, one_batch=7, k_step=7, seconds=9),
    ]
    assert counts == [3, 2, 3, 3, 3]


def test_a_multi_fidelity_search_needs_no_other_predictor(search: Search, multi_fidelity: None, project: Path) -> None:
    shutil.rmtree(project / "data" / "predictor")
    found = search(
        "--method", "multi_fidelity", "--one-batch", 4, "--k-step", 0, "--workers", 1, "--top", 12, candidates=12
    )
    assert sorted(row["fidelity"] for row in found["ranking"]) == 8 * ["noise"] + 4 * ["one_batch"]
    assert all(row["low"] < row["predicted_accuracy"] < row["high"] for row in found["ranking"])


def test_a_multi_fidelity_predictor_of_another_recipe_is_refused(refuses: Callable, multi_fidelity: None) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("temperature: 6.0", "temperature: 5.0"))
    line = refuses(2, "search", "--data", "pets", "--teacher", TEACHER, *AT_CHANCE, "--method", "multi_fidelity")
    assert "distillation.temperature" in line and "`multi_fidelity`" in line


def spoil_shape(weights: dict[str, torch.Tensor]) -> None:
    weights["classifier.weight"] = torch.zeros(3, 10)


def spoil_value(weights: dict[str, torch.Tensor]) -> None:
    weights["stem_bn.bias"][0] = float("nan")


def spoil_name(weights: dict[str, torch.Tensor]) -> None:
    weights["layer1.conv1.weight"] = weights.pop("stages.0.0.conv1.weight")


@pytest.mark.parametrize(
    ("spoil", "code", "line"),
    [
        (spoil_shape, 1, "classifier.bias has shape [2] where [3] is expected"),
        (spoil_value, 1, "stem_bn.bias holds NaN"),
        (spoil_name, 2, "stages.0.0.conv1.weight"),
    ],
)
def test_a_bad_teacher_is_refused(refuses: Callable, spoil: Callable, code: int, line: str) -> None:
    weights = load_file(TEACHER)
    spoil(weights)
    save_file(weights, "bad.safetensors")
    assert line in refuses(code, "search", "--data", "pets", "--teacher", "bad.safetensors")


def test_bad_images_and_a_bad_predictor_are_refused(refuses: Callable, project: Path) -> None:
    whole = Path("images.zip").read_bytes()
    Path("images.zip").write_bytes(whole[: len(whole) // 2])
    assert "images.zip" in refuses(1, "search", "--data", "images.zip", "--teacher", TEACHER, *AT_CHANCE)
    Path("empty").mkdir()
    assert "empty" in refuses(1, "search", "--data", "empty", "--teacher", TEACHER, *AT_CHANCE)
    path = project / "data" / "predictor" / "predictor.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    use = ("search", "--data", "pets", "--teacher", TEACHER, *AT_CHANCE, "--method", "dass")
    assert "predictor.safetensors" in refuses(2, *use)  # where no method is given, a race follows


def test_limits_on_size_latency_and_accuracy(search: Search, dass: Callable, refuses: Callable) -> None:
    everything = search("--top", 100, candidates=12)["ranking"]
    limits = ("--max-size", "30kB", "--max-latency", "10s", "--latency-batch", 3, "--keep-accuracy", 100)
    found = search("--top", 100, *limits, "--latency", candidates=12)
    assert 0 < found["pick"]["latency_ms"] < 10_000
    assert {row["latency_batch"] for row in (found["pick"], *found["ranking"])} == {3}  # only like beside like
    cheapest = min(found["ranking"], key=lambda row: row["macs"])
    assert found["pick"]["macs"] == cheapest["macs"] < max(row["macs"] for row in everything)
    assert "30" not in found["budget"] and "0.03 MB" in found["budget"]
    arguments = ("search", "--data", "pets", "--teacher", TEACHER, *AT_CHANCE, "--candidates", 8)
    shown = dass(*arguments, "--latency", "--latency-batch", 3)
    assert "batch 3" in shown.out and shown.code == 0
    assert "latency" in refuses(2, *arguments, "--latency-batch", 3)  # where nothing is timed
    assert "keep_accuracy" in refuses(2, *arguments, "--keep-probability", 0.9)
    assert "no student" in dass(*arguments, "--max-macs", 10_000).err
    assert "fastest" in refuses(2, *arguments, "--max-latency", "1us")
    assert "smallest" in refuses(2, *arguments, "--max-size", "1kB")
    for option, wrong in (("--max-latency", "soon"), ("--max-size", "-1MB")):
        assert repr(wrong) in refuses(2, *arguments, option, wrong)
    assert "--keep-accuracy" in refuses(2, *arguments, "--method", "race", "--keep-accuracy", 1)
