"""Files shipped predictors in the registry, and fetches predictors from there."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dass.errors import DassError
from dass.files import content_id, file_id
from dass.shipped.card import Release, ReleaseCard
from dass.tracking.lineage import Lineage
from dass.tracking.predictor_registration import ABOUT, PREDICTOR, register_predictor
from dass.tracking.registry import ModelPackage, RegisteredVersion, find_version, register_model, registered
from dass.tracking.runs import RunContent, record_run
from dass.tracking.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

NEEDS = ("pydantic", "pyyaml", "scipy")


def register_release(store: Store, release: Release) -> RegisteredVersion:
    """Files a shipped predictor as a version of `dass-predictor`, without an alias.

    Args:
        store: tracking store (runs and registry) that is written to.
        release: released predictor.

    Returns:
        The version; the one that is there already where the same predictor was filed before.

    Raises:
        DassError: a file is damaged, or the store failed.
    """
    card = release.card
    lineage = Lineage(commit=card.commit, branch="unknown", dirty=False, data=(), lock="", patch=b"")
    run_id = record_run(
        store,
        RunContent(
            kind="predictor",
            name=card.name,
            lineage=lineage,
            params={
                "kind": card.kind,
                "general": card.general,
                "resolution": card.resolution,
                "families": ", ".join(card.families),
                "students": card.students,
            },
            metrics={f"src/{target.target}": target.src for target in card.targets},
            files=(release.weights, release.weights.with_suffix(".json")),
            note=_markdown(card),
            tags={"release": card.name, "predictor_id": file_id(release.weights)},
        ),
    )
    if card.kind == "dass":
        return register_predictor(store, run_id, checkpoint=release.weights, lineage=lineage)
    return _register_multi_fidelity(store, run_id, release, lineage)


def download_predictor(store: Store, uri: str, folder: Path) -> Path:
    """Fetches a registered predictor's files, once.

    Args:
        store: tracking store that holds the registered model.
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        folder: folder that keeps files of versions.

    Returns:
        The weights' file; its JSON lies beside it.

    Raises:
        UsageError: there is no such version.
        DassError: the version holds no predictor, or the store failed.
    """
    from mlflow.artifacts import download_artifacts

    version = registered(store, uri)
    target = folder / f"{version.name}-{version.version}-{content_id([store.uri, version.run_id])}"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary, store.errors(f"fetch {uri}"):
            source = store.client.get_model_version_download_uri(version.name, str(version.version))
            downloaded = Path(download_artifacts(artifact_uri=source, dst_path=temporary, tracking_uri=store.uri))
            downloaded.rename(target)
    weights = sorted(target.rglob("predictor.safetensors"))
    if not weights:
        raise DassError(f"{uri} holds no predictor: give a version of {PREDICTOR}")
    return weights[0]


def _register_multi_fidelity(store: Store, run_id: str, release: Release, lineage: Lineage) -> RegisteredVersion:
    from dass.tracking.multi_fidelity_model import load_multi_fidelity_model, save_multi_fidelity_model

    card = release.card
    tags = {
        "predictor_id": file_id(release.weights),
        "release": card.name,
        "kind": card.kind,
        "families": ", ".join(card.families),
        "general": str(card.general).lower(),
        "resolution": str(card.resolution),
        "licence": card.licence,
    }
    key = content_id(tags)
    if (version := find_version(store, PREDICTOR, key)) is not None:
        return version
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "predictor"
        save_multi_fidelity_model(folder, release.weights)
        example, params = _example(card)
        model = load_multi_fidelity_model(folder)
        package = ModelPackage(
            loader="dass.tracking.multi_fidelity_model",
            folder=folder,
            signature=_signature(example, model.predict(example, params), params),
            example=example,
            requirements=NEEDS,
        )
        return register_model(
            store, run_id, PREDICTOR, key=key, package=package, about=ABOUT, card=_markdown(card), tags=tags,
            lineage=lineage,
        )  # fmt: skip


def _example(card: ReleaseCard) -> tuple["pd.DataFrame", Mapping[str, Any]]:
    """A teacher and two students, known by size and shape alone."""
    import pandas as pd

    from dass.fidelity import SIZE
    from dass.proxies.registry import columns_at
    from dass.tracking.multi_fidelity_model import CLASSES, FIDELITY, TEACHER_ACCURACY, TEST_IMAGES

    stages = 4
    names = [column.name for column in columns_at(SIZE, stages)]
    rows = [[14.0, 18.0, *[3.0] * stages, *[1.0] * stages]] + [[13.0, 17.0, *[2.0] * stages, *[0.5] * stages]] * 2
    return pd.DataFrame(rows, columns=pd.Index(names, dtype=object)), {
        TEACHER_ACCURACY: 80.0,
        CLASSES: 10,
        TEST_IMAGES: 1000,
        FIDELITY: SIZE.key,
    }


def _signature(example: "pd.DataFrame", output: "pd.DataFrame", params: Mapping[str, Any]) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    # The columns depend on how much was measured, so the inputs' names are not fixed; the parameters' are.
    kinds = {float: DataType.double, int: DataType.long, str: DataType.string}
    specs = [ParamSpec(name, kinds[type(value)], value) for name, value in params.items()]
    outputs = Schema([ColSpec(DataType.double, str(name)) for name in output.columns])
    return ModelSignature(inputs=None, outputs=outputs, params=ParamSchema(specs))


def _markdown(card: ReleaseCard) -> str:
    rows = "\n".join(
        f"| {one.target} | {one.family} | {one.students} | {one.src:.2f} | "
        f"{'-' if one.covered is None else f'{100 * one.covered:.0f} %'} |"
        for one in card.targets
    )
    sources = "\n".join(
        f"- {one.dataset}: {one.tasks} tasks, licence of the images: {one.licence}" for one in card.sources
    )
    return f"""# {card.name}

{card.summary}

Learned from {card.students} distilled students.

{sources}

| target | family | students | Spearman correlation | within 80% intervals |
| --- | --- | --- | --- | --- |
{rows}

Licence of the predictor: {card.licence}.

```json
{json.dumps(asdict(card), indent=2)}
```
"""
