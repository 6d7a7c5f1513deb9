"""A shipped predictor in the registry, and back from there."""

from pathlib import Path

import mlflow
import numpy as np
import pytest

from dass.errors import UsageError
from dass.fidelity import SIZE
from dass.multi_fidelity.checkpoint import load_multi_fidelity
from dass.proxies.registry import columns_at
from dass.shipped.build import build
from dass.shipped.card import Release
from dass.shipped.fixture import Fixture
from dass.tracking.release_registration import download_predictor, register_release
from dass.tracking.store import Store
from dass.training.workers import Workers
from tests.unit.shipped.conftest import ORIGIN, multi_fidelity_file, target

__all__ = ["multi_fidelity_file", "target"]


@pytest.fixture
def release(multi_fidelity_file: Path, target: Fixture, tmp_path: Path) -> Release:
    with Workers(0) as workers:
        return build(tmp_path / "tiny", "multi_fidelity", multi_fidelity_file, ORIGIN, [target], workers)


def test_a_release_is_registered_once_with_its_card_and_predicts_from_there(
    store: Store, release: Release, tmp_path: Path
) -> None:
    version = register_release(store, release)
    assert register_release(store, release) == version
    filed = store.client.get_model_version(version.name, str(version.version))
    assert filed.tags["release"] == "tiny"
    assert "task9" in filed.description
    mlflow.set_tracking_uri(store.uri)
    model = mlflow.pyfunc.load_model(f"models:/{version.name}/{version.version}")
    import pandas as pd

    names = [column.name for column in columns_at(SIZE, 4)]
    rows = np.array([[9.0, 12.0, 2, 2, 2, 2, 1, 1, 1, 1], [8.0, 11.0, 1, 2, 1, 2, 0.5, 1, 0.5, 1]])
    made = model.predict(
        pd.DataFrame(rows, columns=pd.Index(names, dtype=object)),
        params={"teacher_accuracy": 57.0, "classes": 4, "test_images": 2000, "fidelity": "size"},
    )
    assert len(made) == 1
    assert 0 < made["low"][0] < made["predicted_accuracy"][0] < made["high"][0] < 100


def test_a_registered_predictor_comes_back_and_an_unknown_one_is_refused(
    store: Store, release: Release, tmp_path: Path
) -> None:
    version = register_release(store, release)
    file = download_predictor(store, f"models:/{version.name}/{version.version}", tmp_path / "fetched")
    assert file.read_bytes() == release.weights.read_bytes()
    load_multi_fidelity(file)
    with pytest.raises(UsageError, match="no version 9"):
        download_predictor(store, f"models:/{version.name}/9", tmp_path / "fetched")
