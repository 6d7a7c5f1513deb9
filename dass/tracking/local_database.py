"""mlflow.db of a project: that it is one, and that what it says of files holds where the project lies now.

MLflow keeps absolute addresses. Without this a copied or moved project would write its files into the old place, or
find none of those that moved with it.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from dass.errors import DassError

_WAIT_SECONDS = 20.0  # as long as MLflow waits
_FOLDER = "mlartifacts"
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)


def check_database(path: Path) -> None:
    """Makes sure that a database holds MLflow's tables, and that its addresses lead to the folder beside it.

    Addresses of files elsewhere, which a user has chosen, stay.

    Args:
        path: path of mlflow.db.

    Raises:
        DassError: it is empty, damaged, no database of MLflow's, locked, or cannot be written and must be.
    """
    if path.stat().st_size == 0:
        raise DassError(f"{path} is empty, so its runs and models are lost: {_ADVICE}")
    try:
        with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as database:
            if not _columns(database, "experiments"):
                raise DassError(f"{path} is not a database of MLflow's: {_ADVICE}")
            if _old_places(database, path):
                _follow(database, path)
    except sqlite3.Error as error:
        raise DassError(f"cannot open {path}: {error}; {database_advice(error)}") from error


_ADVICE = "bring it back from a copy, or move it away to begin anew"


def database_advice(error: BaseException) -> str:
    """What to do about an error of a sqlite database."""
    message = str(error)
    if "locked" in message:
        return "another program is writing to it: wait for that to end or stop it, then run the same command again"
    if "readonly" in message or "unable to open" in message or "disk" in message.replace("disk image", ""):
        return "free space or fix permissions of it and its folder, then run the same command again"
    return _ADVICE


def _follow(database: sqlite3.Connection, path: Path) -> None:
    """Writes where the files are now into every address of the old places, all at once."""
    database.execute("begin immediate")
    new = _place(path)
    places = _old_places(database, path)  # another process may have done it meanwhile
    for old in places:
        for table, column in _ADDRESSES:
            if column in _columns(database, table):
                database.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?",
                    (f"{new}/", len(old) + 2, len(old) + 1, f"{old}/"),
                )
    database.execute("commit")
    for old in places:
        logging.getLogger(__name__).warning("%s: the project was in %s; its runs' files are in %s now", path, old, new)


def _old_places(database: sqlite3.Connection, path: Path) -> list[str]:
    """Where our experiments keep their files, as far as that is not beside the database."""
    rows = database.execute(
        "select distinct artifact_location from experiments where name = 'Default' or name like 'dass/%'"
    )
    places = {str(location).rpartition("/")[0] for (location,) in rows if location}
    return sorted(address for address in places if address.endswith(f"/{_FOLDER}") and address != _place(path))


def _place(path: Path) -> str:
    return (path.parent.resolve() / _FOLDER).as_uri()


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in database.execute(f"pragma table_info({table})")}
