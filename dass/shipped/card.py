"""What is known of a shipped predictor, and how its folder is written and read: whole or not at all."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from dass.errors import DassError, UsageError
from dass.fidelity import Fidelity
from dass.files import file_sha256
from dass.sealed import read_sealed, write_sealed

FORMAT = 1
CARD, WEIGHTS = "card.json", "predictor.safetensors"
REMEDY = "install DaSS again, or make the folder anew with `dass predictors build`"

Kind = Literal["dass", "multi_fidelity"]
"""`dass` is the paper's predictor; `multi_fidelity` the multi-fidelity predictor."""


@dataclass(frozen=True)
class Source:
    """Images that a predictor has learned from.

    Attributes:
        dataset: name of the dataset.
        content: what the packed images' card calls their content.
        tasks: number of source tasks that were cut from it.
        licence: licence of the images.
    """

    dataset: str
    content: str
    tasks: int
    licence: str


@dataclass(frozen=True)
class TargetScore:
    """How a predictor ranks the really distilled students of a target that it has not learned from.

    Attributes:
        target: name of the target.
        family: family of the teacher.
        content: 12 hex digits of its packed images.
        students: number of distilled students.
        test_images: number of test images that an accuracy is over.
        src: Spearman correlation of predicted and reached accuracies.
        covered: share of the students within their 80% intervals; None for a predictor without intervals.
    """

    target: str
    family: str
    content: str
    students: int
    test_images: int
    src: float
    covered: float | None


@dataclass(frozen=True)
class ReleaseCard:
    """What is known of a shipped predictor.

    Attributes:
        name: name of its folder.
        kind: kind of the predictor, `multi_fidelity` or `dass`.
        summary: one sentence for people.
        families: names of the families of the teachers that it learned from.
        general: whether it takes any teacher of any family; else only those of its own search space and resolution.
        resolution: side in pixels of the images that it learned from.
        sources: datasets that it learned from.
        students: distilled students of all source tasks together.
        seeds: random seeds of these students.
        recipe: recipe of their distillation, as far as predictions depend on it.
        left_out: by key of the fidelity, mean Spearman correlation over source tasks left out; empty if not measured.
        covered: likewise, the share of students within 80% intervals.
        targets: measurements on targets.
        licence: licence of the weights, which follows from that of the images.
        commit: git commit of the project, when it was learned.
        fixture: name of the fixture that `verify` computes again; empty for none.
        expected: by key of the fidelity, the Spearman correlation there.
        torch_version: version of torch that it was learned with.
    """

    name: str
    kind: Kind
    summary: str
    families: tuple[str, ...]
    general: bool
    resolution: int
    sources: tuple[Source, ...]
    students: int
    seeds: tuple[int, ...]
    recipe: Mapping[str, Any]
    left_out: Mapping[str, float]
    covered: Mapping[str, float]
    targets: tuple[TargetScore, ...]
    licence: str
    commit: str
    fixture: str
    expected: Mapping[str, float]
    torch_version: str


@dataclass(frozen=True)
class Release:
    """A shipped predictor on disk.

    Attributes:
        folder: holds the card, the weights, and what belongs to the weights.
        card: card with the facts about it.
    """

    folder: Path
    card: ReleaseCard

    @property
    def weights(self) -> Path:
        """The predictor as the pipeline writes it; its own JSON lies beside it."""
        return self.folder / WEIGHTS


def write_release(folder: Path, weights: Path, card: ReleaseCard) -> Release:
    """Writes a release beside its place and moves it there, so that a half-written folder never has the name.

    Args:
        folder: folder to write to; a release in it is replaced.
        weights: as the pipeline wrote them, with their JSON.
        card: card with the facts about it.

    Raises:
        UsageError: there is something at `folder` that is no release.
        DassError: it cannot be written.
    """
    check_free(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            made = Path(temporary) / folder.name
            made.mkdir()
            for suffix in (".safetensors", ".json"):
                shutil.copyfile(weights.with_suffix(suffix), (made / WEIGHTS).with_suffix(suffix))
            files = {path.name: file_sha256(path) for path in sorted(made.iterdir())}
            write_sealed(made / CARD, {"format": FORMAT, "files": files, **asdict(card)})
            if folder.exists():
                folder.rename(Path(temporary) / "replaced")
            made.rename(folder)
    except OSError as error:
        raise DassError(f"{folder} cannot be written: {error.strerror or error}") from error
    return read_release(folder)


def check_free(folder: Path) -> None:
    """Refuses a folder in which something else lies than a release.

    Raises:
        UsageError: there is something at `folder` that is no release.
    """
    if folder.exists() and not (folder / CARD).is_file():
        raise UsageError(f"{folder} exists and is no shipped predictor: give another folder")


def read_release(folder: Path) -> Release:
    """Reads a release and checks that its files are those that the card was written for.

    Raises:
        UsageError: there is no release in the folder.
        DassError: its card is damaged or of another version, or a file is missing or is another.
    """
    path = folder / CARD
    if not path.is_file():
        raise UsageError(f"{folder} holds no shipped predictor: there is no {CARD}")
    facts = read_sealed(path, REMEDY)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else facts
        raise DassError(f"{path} is of format {found!r}, this version of DaSS reads {FORMAT}: {REMEDY}")
    try:
        card = _card({name: facts[name] for name in (field.name for field in fields(ReleaseCard))})
        files = dict(facts["files"])
    except (KeyError, TypeError, ValueError) as error:
        raise DassError(f"{path} is not the card of a shipped predictor ({error}): {REMEDY}") from error
    for name, digest in files.items():
        if not (folder / name).is_file():
            raise DassError(f"{folder} is incomplete: {name} is missing: {REMEDY}")
        if file_sha256(folder / name) != digest:
            raise DassError(f"{folder / name} is not the file that {CARD} describes (hash): {REMEDY}")
    return Release(folder, card)


def _card(values: Mapping[str, Any]) -> ReleaseCard:
    made: dict[str, Any] = {
        "sources": tuple(Source(**one) for one in values["sources"]),
        "targets": tuple(TargetScore(**one) for one in values["targets"]),
        "families": tuple(values["families"]),
        "seeds": tuple(values["seeds"]),
        "kind": "multi_fidelity" if values["kind"] == "ladder" else values["kind"],  # as earlier versions called it
    }
    if made["kind"] == "multi_fidelity":
        for name in ("left_out", "covered", "expected"):
            made[name] = {Fidelity.parse(key).key: value for key, value in values[name].items()}
    return ReleaseCard(**{**values, **made})
