"""Reads what `torch.save` wrote without running anything that a file asks for.

`torch.load(weights_only=True)` refuses a whole file for one harmless object beside the weights, such as a number of
numpy or a Namespace. Here no name in a file is ever looked up: a few known ones rebuild tensors, and every other
object becomes a `StandIn`, which keeps what it was given and does nothing.
"""

import io
import math
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import torch
from torch import Tensor

LEGACY_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)  # the first pickle of torch's files before 1.6

_STORAGES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64, "ComplexDoubleStorage": torch.complex128, "UntypedStorage": torch.uint8,
    "QInt8Storage": torch.int8, "QUInt8Storage": torch.uint8, "QInt32Storage": torch.int32,
}  # fmt: skip
_DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
# Parts of Python whose objects people keep beside weights. They are stood in for like those of anybody else; any other
# name of Python's own library is a request to run something, and the file is refused for it.
_HARMLESS = {
    "_codecs", "argparse", "array", "collections", "configparser", "copy", "copyreg", "dataclasses", "datetime",
    "decimal", "enum", "fractions", "functools", "inspect", "ipaddress", "itertools", "logging", "math",
    "numbers", "operator", "optparse", "pathlib", "queue", "random", "re", "statistics", "string", "struct",
    "threading", "time", "traceback", "types", "typing", "uuid", "warnings", "weakref", "zoneinfo",
}  # fmt: skip
_HARMLESS_BUILTINS = {
    "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "getattr", "int", "list", "object", "range",
    "set", "slice", "str", "tuple", "type",
}  # fmt: skip
_PYTHON = sys.stdlib_module_names | {"commands", "exceptions"}  # the last two are of Python 2
_OF_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # names that pickles of protocol 2 still use
_EXPANDED = 2**26  # bytes that a tensor may have whose elements share memory
_MAX_GROWTH = 4  # torch stores its records as they are; a zip that unpacks to much more is a trap


class UnreadableFileError(Exception):
    """Why a file of torch is not read.

    Args:
        reason: as the end of a sentence about the file.
        remedy: remedy for the user, in words.
    """

    def __init__(self, reason: str, remedy: str = "save the network's state_dict() again") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class StandIn(dict[Any, Any]):
    """Takes the place of an object whose class is not loaded.

    Its entries are those of a dictionary, where it was one.

    Attributes:
        name: module and name of the class or function that the file asked for.
        given: what it was to be made of, and its state.
    """

    name: ClassVar[str] = ""
    given: list[Any]

    def __new__(cls, *args: Any, **_more: Any) -> "StandIn":  # noqa: D102, since pickle may never call __init__
        made = super().__new__(cls)
        made.given = list(args)
        return made

    def __init__(self, *_args: Any, **_more: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        self.given.append(state)

    def append(self, item: Any) -> None:
        """Keeps an item, of an object that was a list."""
        self.given.append(item)

    def extend(self, items: Any) -> None:
        """Keeps items, of an object that was a list."""
        self.given.extend(items)

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def attributes(self) -> dict[str, Any]:
        """The object's own attributes, as far as its state says them."""
        states = [part for state in self.given for part in (state if isinstance(state, tuple) else (state,))]
        return {
            key: value
            for state in states
            if isinstance(state, Mapping)
            for key, value in state.items()
            if isinstance(key, str)
        }


class Entries(dict[Any, Any]):
    """A dictionary of Python's `collections`, without the attributes that a file may hang on it."""

    __slots__ = ()

    def __init__(self, *args: Any) -> None:
        super().__init__(args[0] if args and isinstance(args[0], list | dict) else ())

    def __setstate__(self, _state: Any) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Storage:
    """A piece of memory that tensors are views of; `data` is uint8 [bytes]."""

    data: Tensor
    dtype: torch.dtype


class _Known:
    """One of the functions below, in a shape that a file cannot change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, _state: Any) -> None:
        raise UnreadableFileError("it tries to change how it is read")


def _tensor(storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_more: Any) -> Tensor:
    return _view(storage, storage.dtype, offset, size, stride)


def _typed_tensor(
    storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], _grad: Any, _hooks: Any,
    dtype: torch.dtype, *_more: Any,
) -> Tensor:  # fmt: skip
    return _view(storage, dtype, offset, size, stride)


def _view(storage: _Storage, dtype: torch.dtype, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    if not isinstance(storage, _Storage):
        raise UnreadableFileError("it is damaged: a tensor without memory")
    needed = math.prod(size) * dtype.itemsize
    if needed > max(len(storage.data), _EXPANDED):  # a few bytes can be viewed as a tensor of any size
        raise UnreadableFileError(f"it holds a tensor of {needed:,} bytes in memory of {len(storage.data):,}")
    return storage.data.view(dtype).as_strided(size, stride, offset)


def _first(tensor: Any, *_more: Any) -> Any:
    return tensor


def _rebuilt(function: Any, _kind: Any, args: tuple[Any, ...], *_more: Any) -> Any:
    if not isinstance(function, _Known):
        raise UnreadableFileError("it is damaged: a tensor of no known kind")
    return function(*args)


_FUNCTIONS = {
    ("torch._utils", "_rebuild_tensor"): _Known(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Known(_tensor),
    ("torch._utils", "_rebuild_tensor_v3"): _Known(_typed_tensor),
    ("torch._utils", "_rebuild_parameter"): _Known(_first),
    ("torch._utils", "_rebuild_parameter_with_state"): _Known(_first),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _Known(_first),
    ("torch._tensor", "_rebuild_from_type_v2"): _Known(_rebuilt),
}


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler, with every name replaced by one of ours.

    The one written in Python: that in C lets a file of a few bytes claim gigabytes for its memo.

    Args:
        file: at the start of a pickle.
        storage: gives the memory that a persistent id names.
    """

    def __init__(self, file: BinaryIO, storage: Callable[[tuple[Any, ...]], Any]) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name of the file."""
        module = _OF_PYTHON_2.get(module, module)
        if function := _FUNCTIONS.get((module, name)):
            return function
        if module in {"torch", "torch.cuda", "torch.storage"} and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module == "collections" and name in {"OrderedDict", "defaultdict", "Counter"}:
            return Entries
        top = module.split(".", 1)[0]
        if top in _PYTHON and top not in _HARMLESS and not (top == "builtins" and name in _HARMLESS_BUILTINS):
            raise UnreadableFileError(f"it asks Python to run {module}.{name}, which weights do not need")
        return type("StandIn", (StandIn,), {"name": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        """The memory, or in old files the class, that a persistent id names."""
        if not isinstance(pid, tuple) or len(pid) < 2:
            raise UnreadableFileError("it is damaged: a name of no known form")
        return pid[1] if pid[0] == "module" else self._storage(pid)


def read_zip(path: Path) -> Any:
    """The value in a file of torch 1.6 or later, which is a zip; tensors are on the CPU.

    Raises:
        UnreadableFileError: it is a zip of something else, damaged, or asks to run code.
        Exception: any other, of a damaged file.
    """
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        roots = [name.removesuffix("data.pkl") for name in sizes if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(roots) != 1:
            raise UnreadableFileError(f"it is a zip of something else ({_some(sizes)})", "give the file of weights")
        if f"{roots[0]}constants.pkl" in sizes:
            raise UnreadableFileError("it is a TorchScript program", "save torch.jit.load(...).state_dict() of it")
        if sum(sizes.values()) > _MAX_GROWTH * path.stat().st_size:
            raise UnreadableFileError("its zip unpacks to far more than torch writes")
        if (order := f"{roots[0]}byteorder") in sizes and _record(path, archive, order) != b"little":
            raise UnreadableFileError("its numbers are stored in big-endian order")
        storages: dict[str, Tensor] = {}

        def storage(pid: tuple[Any, ...]) -> _Storage:
            _, dtype, key, *_ = pid
            if key not in storages:
                storages[key] = _bytes(_record(path, archive, f"{roots[0]}data/{key}"))
            return _Storage(storages[key], _dtype(dtype))

        return _Unpickler(io.BytesIO(_record(path, archive, f"{roots[0]}data.pkl")), storage).load()


def _record(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """One member of a zip, checked by its sum, but for those that torch was told to write without one: theirs is 0."""
    entry = archive.getinfo(name)
    if entry.CRC or entry.compress_type != zipfile.ZIP_STORED:
        return archive.read(entry)
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        names, extra = struct.unpack("<26x2H", file.read(30))
        file.seek(names + extra, io.SEEK_CUR)
        return file.read(entry.file_size)


def read_legacy(path: Path) -> Any:
    """The value in a file of torch before 1.6: pickles, then the memory of each storage.

    Raises:
        UnreadableFileError: it is damaged or asks to run code.
        Exception: any other, of a damaged file.
    """
    largest = path.stat().st_size
    storages: dict[str, Tensor] = {}

    def storage(pid: tuple[Any, ...]) -> _Storage:
        _, dtype, key, _, count, *view = pid
        size = _dtype(dtype).itemsize
        if not 0 <= count * size <= largest:
            raise UnreadableFileError("it is truncated or damaged: memory that is not in the file")
        memory = storages.setdefault(key, torch.empty(count * size, dtype=torch.uint8))
        if view and view[0]:
            _, start, length = view[0]
            memory = memory[start * size : (start + length) * size]
        return _Storage(memory, _dtype(dtype))

    with path.open("rb") as file:
        _, _, facts, value = (_Unpickler(file, storage).load() for _ in range(4))
        if isinstance(facts, dict) and not facts.get("little_endian", True):
            raise UnreadableFileError("its numbers are stored in big-endian order")
        for key in _Unpickler(file, storage).load():
            (count,) = struct.unpack("<q", file.read(8))
            memory = storages[key]
            if count < 0 or (count and len(memory) % count):
                raise UnreadableFileError("it is damaged: memory of another size")
            data = file.read(len(memory))
            if len(data) != len(memory):
                raise UnreadableFileError("it is truncated")
            memory.copy_(_bytes(data))
    return value


def _bytes(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)


def _dtype(kind: Any) -> torch.dtype:
    if not isinstance(kind, torch.dtype):
        raise UnreadableFileError("it is damaged: memory of no known type")
    return kind


def _some(names: Mapping[str, int]) -> str:
    shown = ", ".join(sorted(names)[:3])
    return f"{shown:.80}" + (", ..." if len(names) > 3 else "") if names else "empty"
