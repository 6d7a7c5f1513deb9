"""What a stage goes on from is never believed once a byte of it has changed.

A new kind of output is one more row of `KEPT`: how it is written into a folder, and what reading it gives.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib import format as npy

from dass.baselines.scores import ScoreDatabase, Scores
from dass.datasets.packed import DatasetCard, FileHashes, load_target
from dass.datasets.splits import Split, read_split, write_split
from dass.errors import DassError
from dass.files import file_sha256, read_json, write_json
from dass.networks.checkpoint import TeacherCard, load_card, load_teacher, save_teacher, weights_id
from dass.networks.elastic_resnet import ElasticResNet
from dass.predictor.checkpoint import PredictorCard, load_predictor, save_predictor
from dass.predictor.model import DassPredictor
from dass.predictor.scorer import MetaPredictor
from dass.predictor.tasks import TargetScale
from dass.proxies.store import ProxyStore, Row
from dass.sealed import SEAL, read_sealed, write_sealed
from dass.search.candidates import Candidate
from dass.search.constraints import Constraints
from dass.search.result import SearchResult, load_search, save_search
from dass.space.architecture import Architecture
from dass.space.cost import Cost
from dass.students.database import StudentDatabase
from dass.students.trained import TrainedStudent, load_student, save_student
from dass.tracking.student_model import load_student_model, save_student_model
from dass.training.checkpoint import Checkpoint, TrainingState
from dass.training.curve import Curve, load_curve, save_curve
from dass.training.member import EpochEvaluation
from tests.factories import make_record
from tests.samples import SPACE

FLIPS = 30  # of each file
SMALL = Architecture(((2,), (4,), (4,), (8,)))


@dataclass(frozen=True)
class Kept:
    """One kind of output: `write` puts it into a folder, `read` gives what can be compared."""

    write: Callable[[Path], object]
    read: Callable[[Path], Any]


def network() -> ElasticResNet:
    torch.manual_seed(0)
    return ElasticResNet(SMALL, 3).eval()


TEACHER = TeacherCard(
    "digits", ("a", "b", "c"), SMALL, 16, 98.61, 0.125, "", "0123456789ab", 40, "ba9876543210", 0, 1.5, "cpu"
)
STUDENT = TrainedStudent("digits", SMALL, 3, 0, "d" * 12, "t" * 12, "r" * 12, 10.25, 97.5, 96.25, 0.125, 1000, 100)
SCORES = Scores("DaSS", "digits", "students", 0, "k" * 12, ("a", "b"), (1.25, 2.5), seconds=0.5, device="cpu")
PICK = Candidate(SMALL, 61.25, Cost(10, 20, 21, 22))
SEARCH = SearchResult("digits", "t" * 12, 98.61, "p" * 12, Constraints(), PICK, (PICK,), 0.0)
PREDICTOR = PredictorCard(
    SPACE, 16, 3, ("split0",), ("split1",), 24.0, ("a" * 12,), 1000, 120, 0.71, 0, "float32", "cpu", "2", 12.5
)
SPLIT = Split(0, "glyphs", "c" * 12, (1, 4), (0, 3, 5), (1, 2, 7))
RECORD = make_record(SMALL, task="digits", final_accuracy=96.25)
ROWS = {f"{number:012d}": Row(np.array([number + 0.5, 2.0]), 0.25) for number in range(8)}


def write_packed(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels = {"train_labels": np.array([0, 1] * 4), "test_labels": np.array([0, 1])}
    images = {f"{part}_images": np.full((count, 8, 8, 3), 7, np.uint8) for part, count in (("train", 8), ("test", 2))}
    for name, array in (labels | images).items():
        with (folder / f"{name}.npy").open("wb") as file:
            npy.write_array(file, array, version=(1, 0))
    hashes = FileHashes(**{name: file_sha256(folder / f"{name}.npy") for name in labels | images})
    card = DatasetCard("pets", ("ant", "bee"), 8, "pets.zip", "squeeze", "as given", 8, 2, (), hashes)
    write_sealed(folder / "dataset.json", card.to_json())


def read_packed(folder: Path) -> Any:
    data = load_target(folder)
    tensors = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    return data.name, data.classes, data.data_id, [tensor.tolist() for tensor in tensors]


def write_predictor(folder: Path) -> None:
    model = DassPredictor(16, SPACE.code_length, seed=4)
    rates = {name: torch.full_like(weight, 0.02) for name, weight in model.layers.items()}
    save_predictor(folder / "p.safetensors", MetaPredictor(model, rates, 2, TargetScale(40.0, 8.0)), PREDICTOR)


def read_predictor(folder: Path) -> Any:
    predictor, card = load_predictor(folder / "p.safetensors")
    return card, predictor.scale, predictor.inner_steps, {n: w.tolist() for n, w in predictor.predictor.layers.items()}


def with_id(network: ElasticResNet, card: Any) -> Any:
    return card, weights_id(network)


KEPT = {
    "a teacher": Kept(
        lambda folder: save_teacher(folder / "t.safetensors", network(), TEACHER),
        lambda folder: with_id(*load_teacher(folder / "t.safetensors")),
    ),
    "a curve": Kept(
        lambda folder: save_curve(folder / "t.safetensors", Curve((EpochEvaluation(1, 98.61, 0.5),), (1.5, 1.25))),
        lambda folder: load_curve(folder / "t.safetensors"),
    ),
    "a student": Kept(
        lambda folder: save_student(folder / "s.safetensors", network(), STUDENT),
        lambda folder: with_id(*load_student(folder / "s.safetensors")),
    ),
    "a registered student": Kept(
        lambda folder: save_student_model(folder, network(), ("a", "b", "c"), 16),
        lambda folder: (load_student_model(folder).classes, load_student_model(folder).resolution),
    ),
    "scores": Kept(
        lambda folder: ScoreDatabase(folder).put(SCORES),
        lambda folder: [asdict(one) for one in ScoreDatabase(folder).read("digits")],
    ),
    "a search": Kept(
        lambda folder: save_search(folder / "s.json", SEARCH), lambda folder: load_search(folder / "s.json")
    ),
    "a split": Kept(lambda folder: write_split(folder / "s.json", SPLIT), lambda folder: read_split(folder / "s.json")),
    "evidence": Kept(
        lambda folder: ProxyStore(folder).add("key", ROWS),
        lambda folder: {
            name: (row.values.tolist(), row.seconds) for name, row in ProxyStore(folder).read("key").items()
        },
    ),
    "student records": Kept(
        lambda folder: StudentDatabase(folder).append("digits", [RECORD]),
        lambda folder: StudentDatabase(folder).read_all("digits"),
    ),
    "a dataset": Kept(write_packed, read_packed),
    "a predictor": Kept(write_predictor, read_predictor),
    "an unfinished training": Kept(
        lambda folder: Checkpoint(folder / "state", "run").save(TrainingState(3, 1.5, [{"w": torch.arange(40.0)}])),
        lambda folder: str(Checkpoint(folder / "state", "run").load()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", KEPT)
def test_no_flipped_byte_is_believed(row: str, tmp_path: Path) -> None:
    kept = KEPT[row]
    kept.write(tmp_path)
    whole = kept.read(tmp_path)
    found = 0
    for path in sorted(one for one in tmp_path.iterdir() if not one.name.startswith(".")):
        data = path.read_bytes()
        for place in np.linspace(0, len(data) - 1, FLIPS).astype(int):
            for bit in (0x01, 0x10):
                path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
                try:
                    assert kept.read(tmp_path) == whole, f"{path.name}, byte {place}"
                except DassError as error:
                    assert str(error).isprintable()
                    found += 1
        path.write_bytes(data)
    assert kept.read(tmp_path) == whole
    assert found > FLIPS


@pytest.mark.parametrize("row", ["a teacher", "a student", "a search", "a split", "scores", "a dataset", "a predictor"])
def test_what_earlier_versions_wrote_is_read(row: str, tmp_path: Path) -> None:
    kept = KEPT[row]
    kept.write(tmp_path)
    whole = kept.read(tmp_path)
    for path in tmp_path.glob("*.json"):
        value = read_json(path)
        for one in value if isinstance(value, list) else [value]:
            assert one.pop(SEAL)
        write_json(path, value)
    assert kept.read(tmp_path) == whole


def test_a_digit_of_a_teachers_card(tmp_path: Path) -> None:
    save_teacher(tmp_path / "t.safetensors", network(), TEACHER)
    card = tmp_path / "t.json"
    card.write_text(card.read_text().replace("98.61", "99.61"))
    with pytest.raises(DassError, match=r"t\.json"):
        load_card(tmp_path / "t.safetensors")


@pytest.mark.parametrize("value", [{}, {"a": (1, 2.5), "b": {10: None, 9: "é"}}, {"c": float("inf"), "d": [[], {}]}])
def test_a_seal_survives_json(value: dict[str, Any], tmp_path: Path) -> None:
    write_sealed(tmp_path / "x.json", value)
    assert read_sealed(tmp_path / "x.json") == json.loads(json.dumps(value))
