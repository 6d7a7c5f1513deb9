"""Tensors and what is known about them: safetensors files, and sealed JSON files called cards."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from dass.errors import DassError, UsageError
from dass.files import write_bytes
from dass.sealed import read_sealed, write_sealed

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from torch import Tensor

Arrays = Mapping[str, np.ndarray]
Card = TypeVar("Card", bound="DataclassInstance")


@dataclass(frozen=True)
class CardFormat(Generic[Card]):
    """The form of one kind of card: a JSON object with a key for each field of a dataclass.

    Attributes:
        kind: dataclass of the card. Types of fields are checked; a field with a default may be missing in a file.
        name: what the card is, for messages, such as `a teacher's card`.
        remedy: what to do where a card is missing, damaged or of another form, for messages.
        version: number of the form, which the file then states as `format`; None for a form without number.
    """

    kind: type[Card]
    name: str
    remedy: str
    version: int | None = None

    @cached_property
    def _adapter(self) -> TypeAdapter[Card]:
        return TypeAdapter(self.kind)

    def write(self, path: Path, card: Card) -> None:
        """Writes a card, sealed and atomically.

        Raises:
            DassError: the disk is full or not writable; the file is as it was.
        """
        version = {} if self.version is None else {"format": self.version}
        write_sealed(path, {**version, **self._adapter.dump_python(card)})

    def read(self, path: Path) -> Card:
        """Reads a card.

        Raises:
            DassError: the file is missing, not as it was written, of another version, or not such a card.
        """
        facts = read_sealed(path, self.remedy)
        if not isinstance(facts, dict):
            raise self._refused(path, "it is no JSON object")
        if self.version is not None and (version := facts.pop("format", None)) != self.version:
            raise DassError(f"{path}: format {version} is of another version of dass: {self.remedy}")
        if unknown := facts.keys() - {field.name for field in fields(self.kind)}:
            raise self._refused(path, f"unknown key {min(unknown)!r:.80}")
        try:
            return self._adapter.validate_json(json.dumps(facts), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            raise self._refused(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        except (UsageError, LookupError, TypeError, AttributeError, ArithmeticError) as error:  # of fields' own readers
            raise self._refused(path, str(error)) from error

    def _refused(self, path: Path, reason: str) -> DassError:
        return DassError(f"{path} is not {self.name} ({reason}): {self.remedy}")


def card_path(path: Path) -> Path:
    """Path of the card beside the tensors at `path`: the same name with the suffix `.json`."""
    return path.with_suffix(".json")


def as_arrays(tensors: "Mapping[str, Tensor]") -> dict[str, np.ndarray]:
    """Torch's tensors, on any device and with any strides, as contiguous arrays of the same shapes."""
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}


def save_tensors(path: Path, tensors: Arrays) -> str:
    """Writes tensors in safetensors, atomically.

    Args:
        path: path of the file.
        tensors: contiguous arrays by name, of any shapes and number formats.

    Returns:
        SHA-256 of the file, 64 hex digits.

    Raises:
        DassError: the disk is full or not writable; the file is as it was.
    """
    data = save(dict(tensors))
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def load_tensors(path: Path, sha256: str, remedy: str) -> dict[str, np.ndarray]:
    """Reads tensors of which a card knows the hash.

    Args:
        path: path of the file.
        sha256: SHA-256 of the file that the card was written for, 64 hex digits.
        remedy: what to do where the file is missing or another, for messages.

    Raises:
        DassError: the file is missing or cannot be read, or is not the one that the card was written for.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DassError(f"cannot read {path}: {error.strerror or error}; {remedy}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DassError(f"{path} and its card do not belong together (hash): {remedy}")
    try:
        tensors: dict[str, Any] = load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise DassError(f"{path} holds no tensors in safetensors ({error}): {remedy}") from error
    return tensors
