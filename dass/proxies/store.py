"""Measurements on disk, so that none is made twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from numpy.typing import NDArray

from dass.errors import DassError, brief
from dass.files import atomic_write, content_id
from dass.sealed import SEAL

AGAIN = "delete it: what it held is measured again"


@dataclass(frozen=True, eq=False)
class Row:
    """What was measured of one architecture.

    Attributes:
        values: measurements, [f].
        seconds: share of the wall time that measuring took, in seconds.
    """

    values: NDArray[np.float64]
    seconds: float


class ProxyStore:
    """Rows of measurements by architecture, a file for each set of everything else that they depend on.

    What is stored can be measured again, so a damaged file is an error that says to delete it, no more.

    Args:
        folder: made when something is written; None to keep nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._folder is not None

    def read(self, key: str) -> dict[str, Row]:
        """The rows under a key, by `Architecture.arch_id`; none of a file that does not say what they took.

        Raises:
            DassError: the file is damaged.
        """
        if self._folder is None or not (path := self._folder / f"{key}.parquet").exists():
            return {}
        try:
            table = pq.read_table(path)
            rows = table.to_pylist()
            seal = (table.schema.metadata or {}).get(SEAL.encode())  # earlier versions did not write one
            if seal is not None and seal.decode(errors="replace") != content_id(rows):
                raise DassError(f"{path} is not as it was written (its seal differs): {AGAIN}")
            if "seconds" not in table.column_names:  # of an earlier version: measured again
                return {}
            return {row["arch_id"]: Row(np.array(row["values"], dtype=np.float64), row["seconds"]) for row in rows}
        except OSError as error:
            raise DassError(f"cannot read {path} ({brief(error)}): {AGAIN}") from error
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise DassError(f"{path} is damaged ({brief(error)}): {AGAIN}") from error

    def add(self, key: str, rows: Mapping[str, Row]) -> None:
        """Adds rows, in place of those of the same architectures.

        Raises:
            DassError: the disk is full or not writable, or the present file is damaged.
        """
        if self._folder is None or not rows:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / f".{key}.lock")
            lock.acquire()
        except OSError as error:
            raise DassError(f"cannot write in {self._folder}: {error.strerror or error}") from error
        try:
            merged = dict(sorted({**self.read(key), **rows}.items()))
            table = pa.table(
                {
                    "arch_id": pa.array(merged, pa.string()),
                    "values": pa.array([row.values.tolist() for row in merged.values()], pa.list_(pa.float64())),
                    "seconds": pa.array([row.seconds for row in merged.values()], pa.float64()),
                }
            )
            seal = content_id(table.to_pylist())
            table = table.replace_schema_metadata({SEAL: seal})
            atomic_write(self._folder / f"{key}.parquet", lambda temporary: pq.write_table(table, temporary))
        finally:
            lock.release()
