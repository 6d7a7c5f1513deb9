"""Seals: a digest of what a file holds, inside the file, so that damage is found before the file is believed.

A seal finds what disks, copies and editors do to a file. It does not keep out who wants to deceive: that person makes
a new one. Files of earlier versions, and of studies that were committed, have none and are read as they are.
"""

import json
import pickle
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from dass.errors import DassError
from dass.files import content_id, read_json, write_bytes, write_json

SEAL = "seal"


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with the seal of its content as one more key."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(value)))  # as it will be read: keys are text, tuples are lists
    return {**plain, SEAL: content_id(plain)}


def unsealed(value: Any, path: Path, remedy: str) -> Any:
    """A JSON value without its seal.

    Args:
        value: as it was read; one that is no object, or has no seal, is given back as it is.
        path: path that was read, for the message.
        remedy: remedy for a damaged file, for the message.

    Raises:
        DassError: the content is not what was sealed.
    """
    if not isinstance(value, dict) or SEAL not in value:
        return value
    content = {name: one for name, one in value.items() if name != SEAL}
    if content_id(content) != value[SEAL]:
        raise DassError(f"{path} is not as it was written (its seal differs): {remedy}")
    return content


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON object with its seal, atomically."""
    write_json(path, sealed(value))


def read_sealed(path: Path, remedy: str = "restore it with `dvc checkout` or make it anew") -> Any:
    """Reads what `write_sealed` wrote.

    Args:
        path: path of the file.
        remedy: remedy for a damaged file, for the message.

    Raises:
        DassError: the file is missing, not JSON, or its content is not what was sealed.
    """
    return unsealed(read_json(path), path, remedy)


def write_state(path: Path, state: Any) -> None:
    """Writes what an unfinished training goes on from, by `torch.save`, atomically.

    Raises:
        DassError: the disk is full or not writable; the state before is still there.
    """
    import torch

    buffer = BytesIO()  # torch does not say why a file cannot be written
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def read_state(path: Path, what: str) -> Any:
    """Reads what `write_state` wrote, tensors with their strides; the seal is the zip's own sum of each member.

    Args:
        path: path of the file.
        what: work that goes on from the state, for the message, such as `training`.

    Raises:
        DassError: the file is damaged.
    """
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            if (damaged := archive.testzip()) is not None:
                raise RuntimeError(f"{damaged} differs")
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DassError(f"{what} cannot go on from {path}: {error.strerror or error}") from error
    except (RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
        raise DassError(f"{what} cannot go on from {path}, it is damaged: delete it to start anew") from error
