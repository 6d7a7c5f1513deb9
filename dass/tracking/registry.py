"""MLflow's model registry: packs a folder as a model that loads anywhere, and registers it as a version."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import dass
from dass.errors import UsageError
from dass.files import write_json, write_text
from dass.tracking.lineage import Lineage
from dass.tracking.runs import KEY
from dass.tracking.store import Store, import_quietly, quiet

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

CHAMPION, CHALLENGER = "champion", "challenger"
_ALWAYS = ("mlflow", "numpy", "pandas", "safetensors", "torch")


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model.

    Attributes:
        name: name of the model.
        version: number of the version, from 1.
        run_id: the run that it belongs to.
    """

    name: str
    version: int
    run_id: str

    @property
    def uri(self) -> str:
        """Where MLflow loads it from."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class ModelPackage:
    """What MLflow needs to load a model and to say what it takes.

    Attributes:
        loader: module of this package whose `_load_pyfunc` reads the folder; a copy of the package goes with it.
        folder: the model's files.
        signature: form of the model's input and output.
        example: input that is kept with the model.
        requirements: packages that loading needs beyond torch and MLflow; pinned to what is installed here.
        metrics: numbers of the model, by which MLflow's page sorts models.
        dataset: name and digest of the images that they were measured on; None where there are no metrics.
    """

    loader: str
    folder: Path
    signature: "ModelSignature"
    example: NDArray[np.uint8] | dict[str, NDArray[np.float32]] | pd.DataFrame
    requirements: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    dataset: tuple[str, str] | None = None


def find_version(store: Store, name: str, key: str) -> RegisteredVersion | None:
    """The version of `name` that was filed under `key`, if any."""
    with store.errors(f"look up {name}"):
        versions = store.client.search_model_versions(f"name = '{name}' and tags.`{KEY}` = '{key}'")
    if not versions:
        return None
    first = min(versions, key=lambda version: int(version.version))
    return RegisteredVersion(name, int(first.version), first.run_id or "")


def model_version(store: Store, uri: str) -> "ModelVersion":
    """The version that an address names.

    Args:
        store: tracking store that holds the registered model.
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        UsageError: the address has another form, or names no model, version or alias.
    """
    from mlflow.exceptions import MlflowException

    match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))", uri)
    if match is None:
        raise UsageError(f"{uri!r} is not the address of a model: write models:/NAME@ALIAS or models:/NAME/VERSION")
    name, alias, number = match.groups()
    models = {model.name: model for model in store.client.search_registered_models(max_results=1000)}
    if name not in models:
        raise UsageError(f"there is no registered model {name!r}: there are {', '.join(sorted(models)) or 'none'}")
    if alias is not None and alias not in models[name].aliases:
        aliases = ", ".join(sorted(models[name].aliases)) or "none"
        raise UsageError(f"{name} has no alias {alias!r}: it has {aliases}")
    try:
        return store.client.get_model_version(name, number or str(models[name].aliases[alias]))
    except MlflowException as error:
        newest = max((int(v.version) for v in store.client.search_model_versions(f"name = '{name}'")), default=0)
        raise UsageError(f"{name} has no version {number}: the newest is {newest}") from error


def registered(store: Store, uri: str) -> RegisteredVersion:
    """As `model_version`, in this package's own terms.

    Raises:
        UsageError: as there.
        DassError: the store failed.
    """
    with store.errors(f"look up {uri}"):
        version = model_version(store, uri)
    return RegisteredVersion(version.name, int(version.version), version.run_id or "")


def model_card(store: Store, version: RegisteredVersion) -> str:
    """A version's card, as Markdown.

    Raises:
        DassError: the store failed.
    """
    with store.errors(f"look up {version.uri}"):
        return str(store.client.get_model_version(version.name, str(version.version)).description or "")


def register_model(
    store: Store,
    run_id: str,
    name: str,
    *,
    key: str,
    package: ModelPackage,
    about: str,
    card: str,
    tags: Mapping[str, str],
    lineage: Lineage,
) -> RegisteredVersion:
    """Packs a folder as an MLflow model that belongs to a run, and registers it, without an alias.

    The version appears last and whole: a kill before leaves a model that no version names. What was filed under the
    same key before, or meanwhile by another process, is kept and given in its place.

    Args:
        store: tracking store (runs and registry) that is written to.
        run_id: id of the MLflow run that it belongs to.
        name: name of the registered model, made when missing.
        key: `find_version` finds the version under it.
        package: files of the model and what loading needs.
        about: what all versions of the model have in common, in a sentence; described so when the model is made.
        card: Markdown; the version's description, and `card.md` among the model's files.
        tags: tags of the version, beside those of the lineage; `card.json` among the files.
        lineage: code and data that it came from.

    Raises:
        DassError: the store failed.
    """
    every = {**tags, **lineage.tags(), KEY: key}
    write_text(package.folder / "card.md", card)
    write_json(package.folder / "card.json", every)
    with store.alone(f"model {name}"), store.errors(f"register {name}"):
        if (version := find_version(store, name, key)) is not None:
            return version
        from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

        model_id, location = _log_model(store, run_id, name, package)
        _ensure_model(store, name, about)
        created = store.client.create_model_version(
            name,
            source=location,  # "models:/<id>" would be looked up in MLflow's global store
            run_id=run_id,
            tags=every,
            description=card,
            model_id=model_id,
            await_creation_for=0,  # the stores that this is for answer when it is done
        )
        first = find_version(store, name, key)
        if first is not None and first.version < int(created.version):  # of another machine, which shares the server
            store.client.delete_model_version(name, created.version)
            return first
        shown = json.dumps([{"name": name, "version": str(created.version)}])
        store.client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: shown})  # else the page: "not registered"
    return RegisteredVersion(name, int(created.version), run_id)


def add_metrics(
    store: Store, version: RegisteredVersion, metrics: Mapping[str, float], dataset: tuple[str, str]
) -> None:
    """Adds to a version what was measured after it was filed, as metrics and as tags; adding it again changes nothing.

    Args:
        store: tracking store that holds the registered model.
        version: version that the numbers belong to.
        metrics: numbers by their names.
        dataset: name and digest of the images that they were measured on.

    Raises:
        DassError: the store failed.
    """
    with store.errors(f"add metrics to {version.uri}"):
        there = store.client.get_model_version(version.name, str(version.version))
        new = {name: value for name, value in metrics.items() if there.tags.get(name) != _as_tag(value)}
        for model_id in _models_of(store, there):
            _log_metrics(store, version.run_id, model_id, new, dataset)
        for name, value in new.items():
            store.client.set_model_version_tag(version.name, str(version.version), name, _as_tag(value))


def _models_of(store: Store, version: "ModelVersion") -> list[str]:
    """Id of the logged model whose files a version has: stores do not keep it with the version."""
    outputs = store.client.get_run(version.run_id or "").outputs
    ids = [each.model_id for each in outputs.model_outputs] if outputs else []
    return [one for one in ids if store.client.get_logged_model(one).artifact_location == version.source]


def _as_tag(value: float) -> str:
    return f"{value:.4f}"


def _log_metrics(
    store: Store, run_id: str, model_id: str, metrics: Mapping[str, float], dataset: tuple[str, str] | None
) -> None:
    name, digest = dataset or (None, None)
    for metric, value in metrics.items():
        store.client.log_metric(
            run_id, metric, float(value), model_id=model_id, dataset_name=name, dataset_digest=digest
        )


def _log_model(store: Store, run_id: str, name: str, package: ModelPackage) -> tuple[str, str]:
    """Logs the model as an output of the run; gives its id and where its files are."""
    import_quietly("mlflow.pyfunc")
    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    experiment = store.client.get_run(run_id).info.experiment_id
    model = store.client.create_logged_model(experiment, name=name, source_run_id=run_id, model_type="dass")
    with tempfile.TemporaryDirectory() as temporary, quiet("mlflow.pyfunc"):
        code = shutil.copytree(Path(dass.__file__).parent, Path(temporary) / "dass", ignore=_not_code)
        saved = str(Path(temporary) / "model")
        mlflow.pyfunc.save_model(
            path=saved,
            loader_module=package.loader,
            data_path=str(package.folder),
            code_paths=[str(code)],
            mlflow_model=Model(model_id=model.model_id, model_uuid=model.model_id, run_id=run_id),
            signature=package.signature,
            input_example=package.example,
            # Given, not inferred: inference starts a process and loads the model; "+cpu" is on no public index.
            pip_requirements=[f"{each}=={installed(each).split('+')[0]}" for each in (*_ALWAYS, *package.requirements)],
        )
        store.client.log_model_artifacts(model.model_id, saved)
    _log_metrics(store, run_id, model.model_id, package.metrics, package.dataset)
    store.client.finalize_logged_model(model.model_id, "READY")
    store.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return model.model_id, model.artifact_location


def _not_code(folder: str, names: list[str]) -> set[str]:
    """What a model that takes the project's code along leaves behind: caches and the predictors that are shipped."""
    return {"__pycache__"} | ({"data"} if Path(folder).name == "shipped" else set())


def _ensure_model(store: Store, name: str, about: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        store.client.create_registered_model(name, description=about)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
