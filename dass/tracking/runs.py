"""One MLflow run, recorded whole and once, under every function of `dass.tracking.stage_runs`."""

import getpass
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dass.errors import DassError
from dass.files import content_id
from dass.tracking.address import page_address
from dass.tracking.lineage import Lineage
from dass.tracking.store import Kind, Store

if TYPE_CHECKING:
    import pandas as pd

Scalar = str | int | float | bool | None

KEY = "dass.key"
PAGES = "DASS_MLFLOW_PAGES"  # address of the web pages that show the store, where it is not the store's own
LOCK_FILE, PATCH_FILE = "dvc.lock", "changes.patch"  # at the top, where every kind of store downloads them alike
_METRICS_PER_BATCH = 1000  # MLflow's limits
_PARAMS_PER_BATCH = 100


@dataclass(frozen=True)
class Curve:
    """A metric over time.

    Attributes:
        name: name of the metric, such as `train/loss`.
        steps: epochs or episodes, ascending.
        values: values, one for each step.
    """

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.values):
            raise DassError(f"curve {self.name} has {len(self.steps)} steps and {len(self.values)} values")


@dataclass(frozen=True)
class Input:
    """A dataset that a run used.

    Attributes:
        name: name of the task or dataset.
        data_id: 12 hex digits of its content.
        context: purpose, "training" or "evaluation".
    """

    name: str
    data_id: str
    context: str


@dataclass(frozen=True)
class RecordedRun:
    """A run that was recorded, for what is added to it or registered from it.

    Attributes:
        store: tracking store that holds the run.
        run_id: id of the run.
        lineage: code and data that the run came from.
    """

    store: Store
    run_id: str
    lineage: Lineage


@dataclass(frozen=True)
class RunContent:
    """Everything that one run holds.

    Attributes:
        kind: kind of the run, which names its experiment.
        name: name that lists show.
        lineage: code and data that it came from.
        params: parameters of the run.
        metrics: what came out. Names ending in `seconds` are timings.
        curves: metrics over time.
        files: artifacts, kept at the top level under their own names.
        table: rows shown as a table.
        inputs: datasets that the run has read.
        note: Markdown shown with the run.
        tags: tags by which runs are found.
    """

    kind: Kind
    name: str
    lineage: Lineage
    params: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: tuple[Curve, ...] = ()
    files: tuple[Path, ...] = ()
    table: "pd.DataFrame | None" = None
    inputs: tuple[Input, ...] = ()
    note: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Names the result, however long it took, whatever commit made it and whether its curves are still known."""
        results = {name: float(value) for name, value in self.metrics.items() if not name.endswith("seconds")}
        return content_id([self.kind, self.name, dict(self.params), results, dict(self.tags)])


def record_run(store: Store, content: RunContent) -> str:
    """Records a run, unless the same result is there already.

    A stage that was killed after this call, or while it ran, records the same content again: a finished run with
    the same key is found and kept, an unfinished one is ended as KILLED and replaced by a new one. Another process
    that records the same content at the same time is waited for.

    Args:
        store: tracking store (runs and registry) that is written to.
        content: content of the run.

    Returns:
        The id of the run that holds it.

    Raises:
        DassError: a file is missing, or the store failed; the run is then ended as FAILED.
    """
    missing = [path for path in content.files if not path.is_file()]
    if missing:
        raise DassError(f"cannot record run {content.name}: {missing[0]} is missing; run the stage that makes it")
    doing = f"record run {content.kind}/{content.name}"
    with store.alone(f"run {content.key[0]}"), store.errors(doing):  # one of sixteen locks, not one for each run
        experiment = store.experiment_id(content.kind)
        for run in store.client.search_runs([experiment], f"tags.`{KEY}` = '{content.key}'"):
            if run.info.status == "FINISHED":
                return run.info.run_id
            if run.info.status in {"RUNNING", "SCHEDULED"}:
                store.client.set_terminated(run.info.run_id, "KILLED")
        run_id = store.client.create_run(experiment, run_name=content.name, tags=_tags(content)).info.run_id
        with _ended(store, run_id):
            _write(store, run_id, content)
        return run_id


def run_page(store: Store, run_id: str) -> str | None:
    """Address of a run's page: under `DASS_MLFLOW_PAGES`, else at the tracking server; None where nothing shows it.

    Raises:
        DassError: the store failed.
    """
    pages = _pages(store)
    if not pages:
        return None
    with store.errors(f"look up run {run_id}"):
        experiment = store.client.get_run(run_id).info.experiment_id
    return f"{pages}/#/experiments/{experiment}/runs/{run_id}?workflowType=machine_learning"


def file_page(store: Store, run_id: str, name: str) -> str | None:
    """Address of a run's file, as `run_page` gives that of the run."""
    pages = _pages(store)
    return f"{pages}/get-artifact?path={quote(name)}&run_uuid={run_id}" if pages else None


def _pages(store: Store) -> str:
    return page_address(os.environ.get(PAGES) or store.uri) or ""


@contextmanager
def _ended(store: Store, run_id: str) -> Iterator[None]:
    """Ends the run as what it became."""
    try:
        yield
    except BaseException as error:
        with suppress(Exception):  # the first failure is the one to tell
            store.client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    store.client.set_terminated(run_id, "FINISHED")


def _write(store: Store, run_id: str, content: RunContent) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    params = [Param(name, str(value)) for name, value in content.params.items()]
    for start in range(0, len(params), _PARAMS_PER_BATCH):
        store.client.log_batch(run_id, params=params[start : start + _PARAMS_PER_BATCH])
    metrics = [Metric(name, float(value), now, 0) for name, value in content.metrics.items()]
    for curve in content.curves:
        points = zip(curve.steps, curve.values, strict=True)
        metrics += [Metric(curve.name, float(value), now, step) for step, value in points]
    for start in range(0, len(metrics), _METRICS_PER_BATCH):
        store.client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_BATCH])
    if content.inputs:
        store.client.log_inputs(run_id, [_dataset_input(item) for item in content.inputs])
    for path in content.files:
        store.client.log_artifact(run_id, str(path))
    if content.table is not None:
        # As objects: MLflow asks pandas for text columns in a way that pandas 3 warns about.
        store.client.log_table(run_id, content.table.astype(object), f"{content.kind}.json")
    if content.lineage.lock:
        store.client.log_text(run_id, content.lineage.lock, LOCK_FILE)
    if content.lineage.patch:
        with TemporaryDirectory() as folder:
            patch = Path(folder) / PATCH_FILE
            patch.write_bytes(content.lineage.patch)  # bytes: sources need not be UTF-8
            store.client.log_artifact(run_id, str(patch))


def _tags(content: RunContent) -> dict[str, str]:
    tags = {**content.tags, **content.lineage.tags(), KEY: content.key}
    tags |= {"mlflow.source.git.commit": content.lineage.commit, "mlflow.user": user()}
    tags |= {"mlflow.source.type": "LOCAL", "mlflow.source.name": f"dass {content.kind}"}
    return tags | ({"mlflow.note.content": content.note} if content.note else {})


def _dataset_input(item: Input) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(name=item.name, digest=item.data_id, source_type="local", source=f'{{"uri": "{item.name}"}}')
    return DatasetInput(dataset, [InputTag("mlflow.data.context", item.context)])


def user() -> str:
    """Who is at work: the tracking server's user name, else the machine's, else "unknown"."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return "unknown"
