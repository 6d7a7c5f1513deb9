"""From a registered model back to the code and data that made it, and the commands that bring them back."""

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dass.errors import DassError, UsageError
from dass.tracking.lineage import UNKNOWN, DataHash, git, parse_lock
from dass.tracking.runs import LOCK_FILE, PATCH_FILE
from dass.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Trace:
    """The history of one version.

    Attributes:
        model: name of the registered model.
        version: its number.
        aliases: what it is called, such as "champion".
        run_id: the run that it belongs to.
        experiment: that run's experiment.
        commit: git commit, or "unknown".
        dirty: whether tracked files differed from the commit.
        data: DVC hashes of its inputs.
        details: the version's other tags (teacher, architecture, accuracies, promotion), sorted by name.
        commands: shell commands for the project folder that bring code and inputs back to that state; lines that
            start with `#` explain.
    """

    model: str
    version: int
    aliases: tuple[str, ...]
    run_id: str
    experiment: str
    commit: str
    dirty: bool
    data: tuple[DataHash, ...]
    details: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]


def trace(store: Store, uri: str, root: Path) -> Trace:
    """Follows a registered version to its run, commit and data.

    Args:
        store: where it is registered.
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        root: the project folder, to see whether the commit's own dvc.lock already holds the data.

    Raises:
        UsageError: the address has another form, or names no model, version or alias.
        DassError: the store failed.
    """
    with store.errors(f"trace {uri}"):
        version = _find(store, uri)
        run = store.client.get_run(version.run_id or "")
        experiment = store.client.get_experiment(run.info.experiment_id).name
        files = {item.path for item in store.client.list_artifacts(run.info.run_id)}
    tags = version.tags
    data = tuple(DataHash(name[4:], value) for name, value in sorted(tags.items()) if name.startswith("dvc."))
    known = Trace(
        model=version.name,
        version=int(version.version),
        aliases=tuple(sorted(version.aliases)),
        run_id=run.info.run_id,
        experiment=experiment,
        commit=tags.get("git.commit", UNKNOWN),
        dirty=tags.get("git.dirty") == "true",
        data=data,
        details=tuple(sorted(item for item in tags.items() if not item[0].startswith(("git.", "dvc.", "dass.")))),
        commands=(),
    )
    return replace(known, commands=_commands(known, files, root))


def _find(store: Store, uri: str) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))", uri)
    if match is None:
        raise UsageError(f"{uri!r} is not the address of a model: write models:/NAME@ALIAS or models:/NAME/VERSION")
    name, alias, number = match.groups()
    models = {model.name: model for model in store.client.search_registered_models(max_results=1000)}
    if name not in models:
        raise UsageError(f"there is no registered model {name!r}: there are {', '.join(sorted(models)) or 'none'}")
    if alias is not None and alias not in models[name].aliases:
        known = ", ".join(sorted(models[name].aliases)) or "none"
        raise UsageError(f"{name} has no alias {alias!r}: it has {known}")
    try:
        return store.client.get_model_version(name, number or str(models[name].aliases[alias]))
    except MlflowException as error:
        newest = max((int(v.version) for v in store.client.search_model_versions(f"name = '{name}'")), default=0)
        raise UsageError(f"{name} has no version {number}: the newest is {newest}") from error


def _commands(known: Trace, files: set[str], root: Path) -> tuple[str, ...]:
    if known.commit == UNKNOWN:
        return ("# made outside a git repository: its code cannot be brought back",)
    commands = [f"git checkout {known.commit}"]
    download = f"mlflow artifacts download --run-id {known.run_id} --artifact-path"
    if known.dirty and PATCH_FILE in files:
        commands += [f"{download} {PATCH_FILE} --dst-path .", f"git apply {PATCH_FILE}"]
    elif known.dirty:
        commands.append("# tracked files had been changed and the changes were not kept: the code is not quite this")
    if known.data:
        paths = " ".join(shlex.quote(item.path) for item in known.data)
        if not _committed(known, root) and LOCK_FILE in files:
            commands.append(f"{download} {LOCK_FILE} --dst-path .")
        commands += [f"dvc checkout {paths}", f"# not in the local cache? dvc pull {paths}"]
    return tuple(commands)


def _committed(known: Trace, root: Path) -> bool:
    """Whether the dvc.lock of the commit itself holds the recorded data."""
    text = git(root, "show", f"{known.commit}:./dvc.lock")
    try:
        return bool(text) and set(known.data) <= set(parse_lock(text or "", "dvc.lock"))
    except DassError:
        return False
