"""From a registered model back to the code and data that made it, and the commands that bring them back."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from dass.errors import DassError
from dass.tracking.lineage import UNKNOWN, DataHash, git, parse_lock
from dass.tracking.registry import model_version
from dass.tracking.runs import LOCK_FILE, PATCH_FILE
from dass.tracking.store import Store

LINEAGE = ("git", "dvc", "brought", "dass")  # what the other tags' names begin with


@dataclass(frozen=True)
class Trace:
    """The history of one version.

    Attributes:
        model: name of the registered model.
        version: number of the version.
        aliases: aliases of the version, such as "champion".
        run_id: the run that it belongs to.
        experiment: name of the run's experiment.
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
        store: tracking store that holds the registered model.
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        root: the project folder, to see whether the commit's own dvc.lock already holds the data.

    Raises:
        UsageError: the address has another form, or names no model, version or alias.
        DassError: the store failed.
    """
    with store.errors(f"trace {uri}"):
        version = model_version(store, uri)
        run = store.client.get_run(version.run_id or "")
        experiment = store.client.get_experiment(run.info.experiment_id).name
        files = {item.path for item in store.client.list_artifacts(run.info.run_id)}
    tags = version.tags
    data = tuple(
        DataHash(path, value, tracked=kind == "dvc")
        for kind, path, value in sorted((*name.partition(".")[::2], value) for name, value in tags.items())
        if kind in ("dvc", "brought")
    )
    history = Trace(
        model=version.name,
        version=int(version.version),
        aliases=tuple(sorted(version.aliases)),
        run_id=run.info.run_id,
        experiment=experiment,
        commit=tags.get("git.commit", UNKNOWN),
        dirty=tags.get("git.dirty") == "true",
        data=data,
        details=tuple(sorted(item for item in tags.items() if item[0].split(".")[0] not in LINEAGE)),
        commands=(),
    )
    return replace(history, commands=_commands(history, files, root))


def _commands(history: Trace, files: set[str], root: Path) -> tuple[str, ...]:
    if history.commit == UNKNOWN:
        return ("# made outside a git repository: its code cannot be brought back",)
    commands = [f"git checkout {history.commit}"]
    download = f"mlflow artifacts download --run-id {history.run_id} --artifact-path"
    if history.dirty and PATCH_FILE in files:
        commands += [f"{download} {PATCH_FILE} --dst-path .", f"git apply {PATCH_FILE}"]
    elif history.dirty:
        commands.append(
            "# tracked files had been changed, or git could not say, and no changes were kept: this may not be the code"
        )
    brought = [item for item in history.data if not item.tracked]
    commands += [f"# {item.path} was brought by hand ({item.md5}): DVC has no copy of it" for item in brought]
    if paths := " ".join(shlex.quote(item.path) for item in history.data if item.tracked):
        if not _committed(history, root) and LOCK_FILE in files:
            commands.append(f"{download} {LOCK_FILE} --dst-path .")
        commands += [f"dvc checkout {paths}", f"# not in the local cache? dvc pull {paths}"]
    return tuple(commands)


def _committed(history: Trace, root: Path) -> bool:
    """Whether the dvc.lock of the commit itself holds the recorded data."""
    text = git(root, "show", f"{history.commit}:./dvc.lock")
    try:
        return bool(text) and set(history.data) <= set(parse_lock(text or "", "dvc.lock"))
    except DassError:
        return False
