"""Where runs and models are kept: the tracking address, its first-use set-up, and one client for it.

`MLFLOW_TRACKING_URI` names the place (an `http(s)://` server or a database); without it a sqlite file in the
project folder is used, created once. `python -m dass.tracking.store` creates it ahead of time.
"""

import importlib
import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from dass.errors import DassError
from dass.files import content_id
from dass.tracking.address import masked, without_secrets
from dass.tracking.http_proxies import by_way_of, is_here, proxies_for, to_this_machine
from dass.tracking.local_database import check_database, database_advice

if TYPE_CHECKING:
    from mlflow import MlflowClient

Kind = Literal["datasets", "teachers", "students", "predictor", "targets", "evaluation"]

# A server that does not answer is reported within a minute; MLflow's own defaults take four to sixteen.
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
}
_LOCK_SECONDS = 120
_ALONE_SECONDS = 600  # longer than files take to a slow server
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


@dataclass(frozen=True)
class Store:
    """An open tracking store and registry.

    Attributes:
        uri: address of the tracking store.
        artifact_root: folder of the files of runs and models; None where a server decides.
        client: MLflow's client for both. Runs are always named by id, never through MLflow's thread-local
            "active run", so that threads and processes cannot log into each other's.
    """

    uri: str = field(repr=False)  # it may hold a password
    artifact_root: Path | None
    client: "MlflowClient"

    def experiment_id(self, kind: Kind) -> str:
        """The id of the experiment `dass/<kind>`, created when first asked for."""
        from mlflow.exceptions import MlflowException

        name = f"dass/{kind}"
        location = (self.artifact_root / kind).as_uri() if self.artifact_root else None
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return self.client.create_experiment(name, artifact_location=location)
            except MlflowException as error:
                experiment = self.client.get_experiment_by_name(name)  # another process was faster
                if experiment is None:
                    raise DassError(
                        f"cannot create experiment {name} in {masked(self.uri)}: {_reason(error, self.uri)}"
                    ) from error
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        return experiment.experiment_id

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Lets one process at a time do something that looks first and then writes, such as promote a model.

        Processes on one machine wait for each other; those of others, which share a server, are not known here.

        Args:
            what: names it, the model's name say; others may go on with something else.

        Raises:
            DassError: another process takes too long.
        """
        path = _lock_file(self.uri, what)
        try:
            lock = FileLock(path, timeout=_ALONE_SECONDS)
            lock.acquire()
        except Timeout as error:
            raise DassError(
                f"another process is at {what} for over {_ALONE_SECONDS} s: stop it, then run the same command again"
            ) from error
        except OSError as error:
            raise DassError(f"cannot lock {path}: {error.strerror or error}: fix its permissions") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turns whatever MLflow, its server or its disk raises into one line.

        Args:
            doing: what was being done, for the message: "record run search digits".

        Raises:
            DassError: the store failed; results themselves are files that were written before.
        """
        import requests
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, requests.RequestException, OSError) as error:
            raise DassError(
                f"cannot {doing} in {masked(self.uri)}: {_reason(error, self.uri)}; results already on disk are kept: "
                "put the tracking store right, then run the same command again"
            ) from error


def tracking_uri(root: Path) -> str:
    """The tracking address: `MLFLOW_TRACKING_URI` if set, else sqlite in `root`; sqlite is made absolute."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip() or "sqlite:///mlflow.db"
    if not uri.startswith("sqlite:///"):
        return uri
    return f"sqlite:///{(root.resolve() / uri.removeprefix('sqlite:///')).resolve()}"


def prepare(root: Path) -> None:
    """Creates the sqlite database of `root` where it is wanted and missing; costs a second or two, once.

    The schema is built in a temporary file that is renamed when whole: a kill leaves no half-made database. A
    file lock makes other processes wait, since MLflow's first-use migrations fail when two run them at once.

    Raises:
        DassError: the database cannot be created or is locked by a process that does not finish.
    """
    path = _sqlite_file(tracking_uri(root))
    if path is None or path.exists():
        return
    if any(sign in str(path) for sign in "?#%"):
        raise DassError(f"{path}: a sqlite address cannot hold '?', '#' or '%': move the project or rename the folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=_LOCK_SECONDS):
            if not path.exists():
                _create(path)
    except Timeout as error:
        raise DassError(
            f"{path}.lock is held by another process for over {_LOCK_SECONDS} s: stop it and retry"
        ) from error
    except OSError as error:
        raise DassError(f"cannot create {path}: {error.strerror or error}: free space or fix permissions") from error


def open_store(root: Path) -> Store:
    """Opens the tracking store of a project, creating a local one when it is first used.

    Args:
        root: the project folder, which holds mlflow.db and mlartifacts/ unless `MLFLOW_TRACKING_URI` is set.

    Raises:
        DassError: the address is not usable, nothing answers there (known within a minute), or mlflow.db is damaged.
    """
    uri = tracking_uri(root)
    prepare(root)
    if path := _sqlite_file(uri):
        check_database(path)
    elif is_here(uri):
        os.environ.update(to_this_machine())
    _check_database_server(uri)
    import_quietly("mlflow" if uri.startswith("http") else "mlflow.store.tracking.sqlalchemy_store")
    from mlflow import MlflowClient

    try:
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # MLflow raises a dozen kinds here, from five libraries
        raise DassError(
            f"cannot open the tracking store {masked(uri)}: {_reason(error, uri)}; {_advice(error, uri)}"
        ) from error
    return Store(uri, _artifact_root(uri, root), client)


def import_quietly(module: str) -> None:
    """Imports a module of MLflow, past the warnings that it and its pinned libraries raise about each other.

    Settings that MLflow reads from the environment only, some of them on import, get their defaults before; a
    user's own values win.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(module)


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Keeps a logger of MLflow from telling about what goes well."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _sqlite_file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _advice(error: BaseException, uri: str) -> str:
    if _sqlite_file(uri):
        return database_advice(_deepest(error))
    if named := proxies_for(uri):
        return f"{by_way_of(named)}: correct or unset that, or start the server"
    return "start the server, or set MLFLOW_TRACKING_URI right, or unset it to use mlflow.db in the project folder"


def _lock_file(uri: str, what: str) -> Path:
    """Beside a sqlite database; for a server among the user's own temporary files."""
    if (database := _sqlite_file(uri)) is not None:
        return database.with_name(f".{database.name}.{content_id(what)}.lock")
    return Path(tempfile.gettempdir()) / f"dass-{os.getuid()}-{content_id([uri, what])}.lock"


def _artifact_root(uri: str, root: Path) -> Path | None:
    """Files lie beside a sqlite database; a server decides for itself."""
    if path := _sqlite_file(uri):
        return path.parent / "mlartifacts"
    return None if uri.startswith("http") else root.resolve() / "mlartifacts"


def _create(path: Path) -> None:
    """Runs MLflow's migrations on a temporary file, then renames it to `path`."""
    import_quietly("mlflow.store.tracking.sqlalchemy_store")
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)  # of a process killed at this point; ours is the lock
    try:
        with quiet("mlflow.store.db.utils"):
            SqlAlchemyStore(f"sqlite:///{temporary}", (path.parent / "mlartifacts").as_uri()).engine.dispose()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _check_database_server(uri: str) -> None:
    """Fails at once where MLflow would retry a database for minutes."""
    parts = urlsplit(uri)
    if parts.scheme in {"http", "https"}:
        return
    try:
        stated_port = parts.port
    except ValueError:  # its text holds what stands where the port should, part of a password
        raise DassError(
            "MLFLOW_TRACKING_URI is no address of a database: in a password write # as %23, / as %2F, ? as %3F"
        ) from None
    port = stated_port or _PORTS.get(parts.scheme.split("+")[0])
    if parts.hostname is None or port is None:
        return
    try:
        socket.create_connection((parts.hostname, port), timeout=5).close()
    except OSError as error:
        raise DassError(
            f"no database answers at {masked(uri)}: {error.strerror or error}; start it or set MLFLOW_TRACKING_URI "
            "right"
        ) from error


def may_pass(error: BaseException) -> bool:
    """Whether a failure of the store can pass by itself: a server that is gone or silent, a database in use."""
    cause = _deepest(error)
    return isinstance(cause, ConnectionError | TimeoutError) or "database is locked" in str(cause)


def _deepest(error: BaseException) -> BaseException:
    """The refused connection or file under a tower of exceptions."""
    deepest: BaseException = error
    while (below := deepest.__cause__ or deepest.__context__ or _wrapped(deepest)) is not None:
        deepest = below
    return deepest


def _reason(error: BaseException, uri: str) -> str:
    """What went wrong in one line: the refused connection or file under a tower of exceptions, else the top.

    Nothing of it tells what the store's address keeps secret.
    """
    deepest = _deepest(error)
    message = (deepest.strerror or str(deepest)) if isinstance(deepest, OSError) else str(error).split("\n", 1)[0]
    text = " ".join(without_secrets(message, uri).split()) or type(error).__name__  # before anything is cut in two
    return text if len(text) <= 300 else text[:297] + "..."


def _wrapped(error: BaseException) -> BaseException | None:
    """An exception among another's arguments, where urllib3 keeps it."""
    return next((argument for argument in error.args if isinstance(argument, BaseException)), None)


if __name__ == "__main__":
    prepare(Path.cwd())
