"""Any file of weights -> names and tensors, with the class names where the file knows them.

Nothing here knows a network: whether the names and shapes fit one is for the caller to check. No code of a file runs.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from dass.errors import DassError
from dass.networks.file_kind import Kind, file_kind, not_weights
from dass.networks.torch_file import StandIn, UnreadableFileError, read_legacy, read_zip

# Under which training scripts keep the weights; the first that is there counts, so plain ones before averaged ones.
NESTED = (
    "state_dict", "model_state_dict", "model", "model_state", "net", "net_state_dict", "network", "network_state_dict",
    "weights", "params", "teacher", "student", "ema", "ema_state_dict", "state_dict_ema", "model_ema", "ema_model",
)  # fmt: skip
OTHERS = re.compile(
    r"(?:^|_)(?:optim|sched|scaler|amp$|callbacks|loops|hparams|hyper_parameters|criterion|loss|args|config|meta)"
)
# Wrappers put these before the names of all weights;
PREFIXES = ("module", "model", "net", "network", "backbone", "encoder", "ema_model", "teacher", "student")
# and these within names, where a part of a network is wrapped.
WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
COUNTERS = {"n_averaged", "num_updates", "epoch", "step", "global_step", "iteration", "initted", "decay"}
CLASSES = (
    "classes", "classnames", "classlabels", "labelnames", "labels", "names", "categories", "idxtoclass", "id2label",
)  # fmt: skip
INDICES = ("classtoidx", "label2id", "classtoindex")
_REBUILDS = ("torch._utils._rebuild", "torch.distributed.tensor", "torch.sparse")  # what makes tensors of other kinds
_LARGEST_VARIANCE = 1e19  # of activations whose squares float32 still holds
_DEPTH = 3  # how far weights and class names are looked for
_PLAIN = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_OF_STAND_INS = {
    "sparse": "sparse",
    "qtensor": "quantised",
    "quantized": "quantised",
    "nested": "nested",
    "meta_tensor": "without values",
    "DTensor": "a part of a distributed tensor",
    "numpy": "an array of numpy",
}


@dataclass(frozen=True, eq=False)
class StateDict:
    """The weights of a file.

    Attributes:
        tensors: by name, without the prefixes that wrappers put before all names; on the CPU, of the type they were
            stored in (half precision too); their values have passed `check_values`.
        classes: class names in label order, where the file holds them.
        facts: what else it says in plain words and numbers, such as `arch` and `epoch`.
        key: under which the weights lay in the file, `model.state_dict` for example; empty where they are all of it.
    """

    tensors: dict[str, Tensor]
    classes: tuple[str, ...] | None
    facts: dict[str, str | int | float]
    key: str


def read_state_dict(path: Path) -> StateDict:
    """Reads weights of safetensors or of any torch, whatever the file is called; code in it is never run.

    Args:
        path: path of the file.

    Raises:
        UsageError: there is no file at `path`.
        DassError: it is something else, damaged, or holds no weights, those of several networks, or weights that are
            quantised, sparse, of less than 16 bits, or of values that no trained network has.
    """
    kind = file_kind(path)
    value = _read(path, kind)
    weights, key = _find_weights(path, value)
    tensors = _weights(path, weights)
    check_values(tensors, str(path))
    return StateDict(tensors, _classes(value), _facts(value), key)


def check_values(tensors: Mapping[str, Tensor], where: str) -> None:
    """Refuses weights that no network can compute with in float32.

    Args:
        tensors: by name; `running_var` ends the name of the variances that batch normalisation divides by.
        where: origin of the weights, for the message, such as a path.

    Raises:
        DassError: a number is not finite in float32, or a variance is negative or larger than squares can be.
    """
    for name, tensor in tensors.items():
        single = tensor.to(torch.float32)
        if not torch.isfinite(single).all():
            wrong = "NaN, infinity or numbers beyond float32"
        elif name.endswith("running_var") and ((single < 0) | (single > _LARGEST_VARIANCE)).any():
            wrong = f"variances outside 0..{_LARGEST_VARIANCE:.0e}"
        else:
            continue
        raise DassError(f"{where}: {name} holds {wrong}: the training diverged; train again or lower its rate")


def _read(path: Path, kind: Kind) -> Any:
    try:
        if kind == "safetensors":
            with safe_open(path, framework="pt", device="cpu") as file:
                about = {name: _parsed(text) for name, text in (file.metadata() or {}).items()}
                return {**about, "state_dict": {name: file.get_tensor(name) for name in file.keys()}}  # noqa: SIM118
        return read_zip(path) if kind == "torch" else read_legacy(path)
    except UnreadableFileError as error:
        raise DassError(f"{path} cannot be read as weights: {error.reason}; {error.remedy}") from error
    except MemoryError as error:
        raise DassError(f"{path} does not fit into memory: free some, or save its weights alone") from error
    except Exception as error:  # a damaged pickle or zip raises whatever it likes
        raise not_weights(path, "truncated or damaged", "fetch or save it again") from error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _find_weights(path: Path, value: Any, key: str = "", depth: int = 0) -> tuple[Mapping[Any, Any], str]:
    """The mapping of names to weights within a value, and under which keys it lay."""
    if isinstance(value, StandIn):
        _refuse_object(path, value, key)
    if not isinstance(value, Mapping):
        raise _no_state_dict(path)
    for name in NESTED:
        inner = value.get(name)
        if isinstance(inner, StandIn) and "_modules" in inner.attributes:
            _refuse_object(path, inner, _joined(key, name))
        if isinstance(inner, Mapping) and depth < _DEPTH and _holds_tensors(inner):
            return _find_weights(path, inner, _joined(key, name), depth + 1)
    parts = {
        str(name): one
        for name, one in value.items()
        if isinstance(one, Mapping) and not OTHERS.search(str(name).lower()) and _holds_tensors(one)
    }
    own = [str(name) for name, one in value.items() if _is_tensor(one)]
    if own and (not parts or any("." in name for name in own)):
        return value, key
    if len(parts) > 1:
        raise DassError(f"{path} holds several networks ({', '.join(list(parts)[:5])}): save the one that is wanted")
    if not parts or depth == _DEPTH:
        for name, one in value.items():
            if isinstance(one, StandIn):
                _refuse_object(path, one, _joined(key, str(name)))
        raise _no_state_dict(path)
    [(name, one)] = parts.items()
    return _find_weights(path, one, _joined(key, name), depth + 1)


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _holds_tensors(value: Mapping[Any, Any]) -> bool:
    level, seen = [value], {id(value)}  # a file may refer to one mapping again and again
    for _ in range(_DEPTH):
        inner = [one for mapping in level for one in mapping.values()]
        if any(_is_tensor(one) for one in inner):
            return True
        level = []
        for one in inner:
            if isinstance(one, Mapping) and id(one) not in seen:
                seen.add(id(one))
                level.append(one)
    return False


def _is_tensor(value: object) -> bool:
    """Whether a value is a tensor, or one of a kind that is not read."""
    return isinstance(value, Tensor) or (isinstance(value, StandIn) and value.name.startswith(_REBUILDS))


def _no_state_dict(path: Path) -> DassError:
    return DassError(
        f"{path} does not hold a state_dict (names and tensors): save the network's state_dict(), alone or under "
        "`state_dict`"
    )


def _refuse_object(path: Path, value: StandIn, key: str) -> None:
    """Refuses a whole network, which could only be made by running its own code."""
    if "_modules" in value.attributes:
        inner = "".join(f"[{name!r}]" for name in key.split(".") if name)
        raise DassError(
            f"{path} holds a whole network ({value.name}), not its weights. Turn it into weights where its code is "
            f"installed and you trust the file: `import torch` and "
            f"`torch.save(torch.load({str(path)!r}, weights_only=False){inner}.state_dict(), 'weights.pt')`"
        )


def _weights(path: Path, mapping: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors of a state_dict under their own names."""
    tensors: dict[str, Tensor] = {}
    for key, value in mapping.items():
        name = WRAPPERS.sub("", str(key))
        if name.rpartition(".")[2] in COUNTERS and not (isinstance(value, Tensor) and value.dim()):
            continue
        if isinstance(value, Tensor):
            _check_kind(path, name, value)
            tensors[name] = value
        elif isinstance(value, StandIn):
            what = next((word for part, word in _OF_STAND_INS.items() if part in value.name), "")
            if _is_tensor(value) or name.endswith(("weight", "bias")):
                raise _unusable(path, name, what or f"a {value.name}")
    if any("_packed_params" in name for name in map(str, mapping)):
        raise _unusable(path, next(name for name in map(str, mapping) if "_packed_params" in name), "quantised")
    if not tensors:
        raise _no_state_dict(path)
    return _without_prefixes(tensors)


def _check_kind(path: Path, name: str, tensor: Tensor) -> None:
    if str(tensor.dtype).startswith(("torch.float8", "torch.float4")):
        raise _unusable(path, name, f"of type {str(tensor.dtype).removeprefix('torch.')}")
    if tensor.dtype not in _PLAIN and (tensor.is_complex() or name.endswith(("weight", "bias"))):
        kind = "complex" if tensor.is_complex() else f"{str(tensor.dtype).removeprefix('torch.')}, perhaps quantised"
        raise _unusable(path, name, kind)


def _unusable(path: Path, name: str, what: str) -> DassError:
    return DassError(
        f"{path}: {name} is {what}; weights of 16, 32 or 64 bits in plain tensors are read: save the network before it "
        "was converted"
    )


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Takes away what stands before all names alike."""
    while True:
        firsts = {name.partition(".")[0] for name in tensors}
        [first, *more] = firsts
        if more or first not in PREFIXES or first in tensors:
            return tensors
        tensors = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}


def _classes(value: Any) -> tuple[str, ...] | None:
    """The first list of class names within a value, the outermost before others."""
    for level in _levels(value):
        plain = {re.sub(r"[\s_-]", "", str(name)).lower(): one for name, one in level.items()}
        for name in (*CLASSES, *INDICES):
            if (names := _names(plain.get(name))) is not None:
                return names
    return None


def _levels(value: Any) -> Iterator[Mapping[Any, Any]]:
    level = [value]
    for _ in range(_DEPTH):
        mappings = [{**one.attributes, **one} if isinstance(one, StandIn) else one for one in level]
        mappings = [one for one in mappings if isinstance(one, Mapping) and not _is_weights(one)]
        yield from mappings
        level = [inner for one in mappings for inner in one.values() if isinstance(inner, Mapping)][:1000]


def _is_weights(value: Mapping[Any, Any]) -> bool:
    return any(isinstance(one, Tensor) for one in value.values())


def _names(value: Any) -> tuple[str, ...] | None:
    """Class names in label order from a list of them, from names by index or from indices by name."""
    if isinstance(value, Mapping):
        pairs = [(name, index) for name, index in value.items() if isinstance(name, str) and type(index) is int]
        if len(pairs) != len(value):
            pairs = [(name, int(index)) for index, name in value.items() if str(index).isdecimal()]
        if len(pairs) != len(value) or sorted(index for _, index in pairs) != list(range(len(pairs))):
            return None
        value = [name for name, _ in sorted(pairs, key=lambda pair: pair[1])]
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) for name in value):
        return None
    return tuple(value) if len(set(value)) == len(value) else None


def _facts(value: Any) -> dict[str, str | int | float]:
    plain = value if isinstance(value, Mapping) else {}
    return {str(name): one for name, one in plain.items() if isinstance(one, str | int | float)}
