"""Which version of a student is `champion`: a step of its own, by a stated rule, on record, and undoable.

The rule. The first version becomes champion. A later one does when it was tested on the same images as the
champion and is better on them beyond chance: among the images that exactly one of the two gets right, it gets
enough right that a fair coin would do as well with a probability of at most 5 % (the exact one-sided test of
McNemar, 1947). Otherwise, or once it was rolled back, it becomes `challenger`. The test compares the two on the
same images, so the difficulty of the images cancels out, which it does not between two accuracies with an error
bar each.
"""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dass.errors import UsageError
from dass.tracking.registry import CHALLENGER, CHAMPION, RegisteredVersion
from dass.tracking.runs import user
from dass.tracking.store import Store
from dass.tracking.student_registration import CORRECT

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Verdict:
    """What became of a version.

    Attributes:
        name: name of the registered model.
        version: the version that was judged.
        alias: "champion" or "challenger".
        champion: the version that is champion now.
        reason: why, in one sentence.
    """

    name: str
    version: int
    alias: str
    champion: int
    reason: str


def promote(store: Store, candidate: RegisteredVersion) -> Verdict:
    """Judges a version by the rule of this module and gives it its alias.

    Who, when and why are tags of the version. Judging the champion again changes nothing.

    Args:
        store: tracking store that holds the registered model.
        candidate: version that may become champion.

    Raises:
        UsageError: the version keeps no test images, as a predictor: only `make_champion` decides there.
        DassError: the store failed.
    """
    with store.alone(f"model {candidate.name}"), store.errors(f"promote {candidate.uri}"):
        while True:
            champion = _champion(store, candidate.name)
            if champion is None:
                return _settle(store, candidate, CHAMPION, None, "the first version")
            if int(champion.version) == candidate.version:
                reason = champion.tags.get("promotion.reason", "it has been champion before")
                return Verdict(candidate.name, candidate.version, CHAMPION, candidate.version, reason)
            better, reason = _compare(store, candidate, champion)
            present = _champion(store, candidate.name)
            if present is not None and present.version == champion.version:  # else another was judged meanwhile
                return _settle(store, candidate, CHAMPION if better else CHALLENGER, int(champion.version), reason)


def make_champion(store: Store, candidate: RegisteredVersion, why: str) -> Verdict:
    """Makes a version champion whatever the rule says: a person's decision, or a model that has no test images.

    Args:
        store: tracking store that holds the registered model.
        candidate: version that may become champion.
        why: kept as a tag of the version.

    Raises:
        DassError: the store failed.
    """
    with store.alone(f"model {candidate.name}"), store.errors(f"promote {candidate.uri}"):
        champion = _champion(store, candidate.name)
        if champion is not None and int(champion.version) == candidate.version:
            return Verdict(candidate.name, candidate.version, CHAMPION, candidate.version, "it is champion already")
        return _settle(store, candidate, CHAMPION, int(champion.version) if champion else None, why)


def rollback(store: Store, name: str, why: str) -> Verdict:
    """Makes the version that was champion before the present one champion again.

    Args:
        store: tracking store that holds the registered model.
        name: name of the registered model.
        why: kept as a tag of the version that loses the alias.

    Raises:
        DassError: there is no champion, or none before it, or the store failed.
    """
    with store.alone(f"model {name}"), store.errors(f"roll back {name}"):
        champion = _champion(store, name)
        if champion is None:
            raise UsageError(f"{name} has no champion to roll back: see `dass trace models:/{name}@champion`")
        previous = champion.tags.get("promotion.previous")
        if not previous:
            raise UsageError(f"{name} version {champion.version} is the first champion: there is none to go back to")
        _record(store, name, champion.version, "rollback", why)
        reason = f"rolled back from version {champion.version}: {why}"
        store.client.set_registered_model_alias(name, CHAMPION, previous)
        return Verdict(name, int(previous), CHAMPION, int(previous), reason)


def is_better(candidate: NDArray[np.bool_], champion: NDArray[np.bool_]) -> tuple[bool, str]:
    """The rule for two versions tested on the same images.

    Args:
        candidate: bool [n], which test images it got right.
        champion: bool [n], the same for the champion.

    Returns:
        Whether the candidate wins, and the reason in one sentence.
    """
    from scipy.stats import binomtest

    gained = int((candidate & ~champion).sum())
    lost = int((champion & ~candidate).sum())
    p_value = binomtest(gained, gained + lost, alternative="greater").pvalue if gained + lost else 1.0
    better = bool(p_value <= SIGNIFICANCE)
    reason = (
        f"{100 * candidate.mean():.2f} % against the champion's {100 * champion.mean():.2f} % on the same "
        f"{len(candidate)} test images: right on {gained} that it gets wrong, wrong on {lost} that it gets right, "
        f"p = {p_value:.3g} ({'at most' if better else 'above'} {SIGNIFICANCE:g})"
    )
    return better, reason


def _compare(store: Store, candidate: RegisteredVersion, champion: "ModelVersion") -> tuple[bool, str]:
    present = store.client.get_model_version(candidate.name, str(candidate.version))
    if "test_images" not in present.tags:
        raise UsageError(f"{candidate.uri} keeps no test images to be compared by: decide yourself and say why")
    if "rollback.reason" in present.tags:
        return False, f"it was champion and was rolled back: {present.tags['rollback.reason']}"
    if present.tags.get("data_id") != champion.tags.get("data_id"):
        return False, (
            f"tested on data {present.tags.get('data_id')}, the champion (version {champion.version}) on "
            f"{champion.tags.get('data_id')}: not comparable"
        )
    rights = [_correct(store, candidate.name, version) for version in (candidate.version, int(champion.version))]
    return is_better(*rights)


def _correct(store: Store, name: str, version: int) -> NDArray[np.bool_]:
    """Which test images a version got right, as filed with it."""
    from mlflow.artifacts import download_artifacts

    source = store.client.get_model_version_download_uri(name, str(version))
    with tempfile.TemporaryDirectory() as folder:
        # In the pyfunc layout `data/student` holds what `save_student_model` and `register_student` wrote.
        uri = f"{source}/data/student/{CORRECT}"
        path = download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=store.uri)
        return np.load(Path(path), allow_pickle=False)


def _champion(store: Store, name: str) -> "ModelVersion | None":
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def _settle(store: Store, candidate: RegisteredVersion, alias: str, champion: int | None, reason: str) -> Verdict:
    """Puts the reasons on record, then moves the alias: a kill between leaves the old champion in place."""
    name, version = candidate.name, str(candidate.version)
    _record(store, name, version, "promotion", reason)
    store.client.set_model_version_tag(name, version, "promotion.verdict", alias)
    if alias == CHAMPION and champion is not None:
        store.client.set_model_version_tag(name, version, "promotion.previous", str(champion))
    store.client.set_registered_model_alias(name, alias, version)
    if alias == CHAMPION and _has_alias(store, candidate, CHALLENGER):
        store.client.delete_registered_model_alias(name, CHALLENGER)
    now = candidate.version if champion is None or alias == CHAMPION else champion
    return Verdict(name, candidate.version, alias, now, reason)


def _has_alias(store: Store, candidate: RegisteredVersion, alias: str) -> bool:
    return alias in store.client.get_model_version(candidate.name, str(candidate.version)).aliases


def _record(store: Store, name: str, version: str, step: str, reason: str) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    for tag, value in (("reason", reason), ("by", user()), ("at", when)):
        store.client.set_model_version_tag(name, version, f"{step}.{tag}", value)
