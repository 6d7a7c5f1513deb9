"""Checkpoints as people have them: each row makes a file and says what is read of it or why it is not.

A new report is one more row of `READ`, `REFUSED` or `HOSTILE`.
"""

import argparse
import io
import os
import pickle
import random
import types
import zipfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dass.errors import DassError, UsageError
from dass.networks.state_dict import read_state_dict

CLASSES = ("ant", "bee")


def weights(prefix: str = "") -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    plain = {
        "conv1.weight": torch.randn(4, 3, 3, 3, generator=generator),
        "bn1.running_mean": torch.randn(4, generator=generator),
        "bn1.num_batches_tracked": torch.tensor(7),
        "fc.weight": torch.randn(2, 4, generator=generator),
    }
    return {prefix + name: tensor for name, tensor in plain.items()}


class Config(dict):
    """A dictionary with attributes, as configurations beside weights are."""

    def __init__(self, **values: Any) -> None:
        super().__init__(values)
        self.frozen = True


def torch_file(value: Any, **options: Any) -> Callable[[Path], object]:
    return lambda path: torch.save(value, path, **options)


def legacy(value: Any) -> Callable[[Path], object]:
    return torch_file(value, _use_new_zipfile_serialization=False)


def safetensors_file(value: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Callable[[Path], object]:
    return lambda path: save_file(value, path, metadata)


def raw(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def averaged() -> dict[str, Tensor]:
    model = nn.Sequential(OrderedDict(conv1=nn.Conv2d(3, 4, 3, bias=False), fc=nn.Linear(4, 2, bias=False)))
    model.load_state_dict({name: tensor for name, tensor in weights().items() if "bn" not in name})
    return torch.optim.swa_utils.AveragedModel(model).state_dict()


def with_optimizer() -> dict[str, Any]:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    return {"model": weights(), "optimizer": optimizer.state_dict(), "lr_scheduler": {"last_epoch": 3}}


class Stage(Enum):
    LAST = 3


def training_objects() -> dict[str, Any]:
    """What careless scripts save along with the weights."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    return {
        "optimizer": optimizer, "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 3),
        "loss": nn.CrossEntropyLoss(),
        "device": torch.device("cpu"), "size": torch.Size([1, 2]), "dtype": torch.float16, "stage": Stage.LAST,
        "when": datetime(2030, 1, 1, tzinfo=UTC), "out": Path("runs"), "seen": {"a", "b"}, "frozen": frozenset({1}),
        "counted": Counter("abc"), "rng": (torch.get_rng_state(), np.random.get_state(), random.getstate()),
        "function": nn.functional.relu, "partial": partial(nn.functional.relu), "bound": Path("x").joinpath,
        "version": Decimal("1.5"), "seeded": np.random.default_rng(0), "bytes": b"raw",
    }  # fmt: skip


def without_sums(path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(weights(), path)
    finally:
        torch.serialization.set_crc32_options(True)


READ = {
    "safetensors": ("mine.safetensors", safetensors_file(weights())),
    "torch": ("mine.pt", torch_file(weights())),
    "torch before 1.6": ("mine.th", legacy({"state_dict": weights("module."), "best_prec1": 91.7})),
    "safetensors called .pt": ("mine.pt", safetensors_file(weights())),
    "torch called .safetensors": ("mine.safetensors", torch_file(weights())),
    "torch without sums": ("mine.pt", without_sums),
    "no ending": ("mine", torch_file(weights())),
    "two endings": ("mine.pth.tar", torch_file({"state_dict": weights(), "epoch": 3, "arch": "resnet18"})),
    "Lightning": ("x.ckpt", torch_file({"state_dict": weights("model."), "epoch": 3, "hyper_parameters": {"lr": 0.1}})),
    "Lightning, compiled": ("x.ckpt", torch_file({"state_dict": weights("model._orig_mod.")})),
    "Lightning, parallel": ("x.ckpt", torch_file({"state_dict": weights("model.module.")})),
    "compiled within": (
        "x.pt", torch_file({name.replace("conv1.", "conv1._orig_mod."): one for name, one in weights().items()}),
    ),
    "counters beside weights": ("x.pt", torch_file({"n_averaged": torch.tensor(9), **weights("module.")})),
    "a number among weights": ("x.pt", torch_file({**weights(), "epoch": 4})),
    "optimizer beside": ("x.pt", torch_file(with_optimizer())),
    "expanded weights": ("x.pt", torch_file({**weights(), "bn1.num_batches_tracked": torch.tensor([7]).expand(1)[0]})),
    "a key of nobody else": ("x.pt", torch_file({"my_resnet": weights(), "loss": torch.ones(9)})),
    "two levels": ("x.pt", torch_file({"model": {"state_dict": weights("encoder.")}})),
    "averaged weights beside plain ones": (
        "x.pt", torch_file({"model_ema": {name: one + 1 for name, one in weights().items()}, "model": weights()}),
    ),
    "numpy numbers": ("x.pt", torch_file({"state_dict": weights(), "acc": np.float64(98.6), "n": np.arange(3)})),
    "a Namespace": ("x.pt", torch_file({"state_dict": weights(), "args": argparse.Namespace(lr=0.1, out=Path("x"))})),
    "a dictionary of a class": ("x.pt", torch_file({"model": weights(), "config": Config(lr=0.1)})),
    "a default dictionary": ("x.pt", torch_file({"net": weights(), "history": defaultdict(list, loss=[1.0])})),
    "a namespace of types": ("x.pt", legacy({"net": weights(), "cfg": types.SimpleNamespace(a={1, 2})})),
    "whole objects of a training": ("x.pt", torch_file({"state_dict": weights(), **training_objects()})),
    "whole objects of a training before 1.6": ("x.pt", legacy({"net": weights(), **training_objects()})),
    "pickle protocol 5": ("x.pt", torch_file({"net": weights(), **training_objects()}, pickle_protocol=5)),
    "pickle protocol 4": ("x.pt", torch_file({"net": weights(), "acc": np.float32(1)}, pickle_protocol=4)),
    "parameters": ("x.pt", torch_file({name: nn.Parameter(one, False) for name, one in weights().items()})),
    **{
        f"under {key}": ("x.pt", torch_file({key: weights(), "epoch": 1}))
        for key in (
            "state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "ema", "ema_state_dict",
            "model_ema", "teacher", "student", "state", "generator",
        )
    },
    **{
        f"prefix {prefix}": ("x.pt", torch_file(weights(prefix)))
        for prefix in ("module.", "_orig_mod.", "model.", "net.", "backbone.", "encoder.", "_orig_mod.module.model.")
    },
}  # fmt: skip


@pytest.mark.parametrize("row", READ)
def test_read(row: str, tmp_path: Path) -> None:
    name, make = READ[row]
    make(tmp_path / name)
    state = read_state_dict(tmp_path / name)
    expected = weights()
    assert set(state.tensors) == set(expected)
    assert all(torch.equal(state.tensors[name], tensor) for name, tensor in expected.items())


def test_an_averaged_model_of_torch(tmp_path: Path) -> None:
    torch.save(averaged(), tmp_path / "x.pt")
    assert list(read_state_dict(tmp_path / "x.pt").tensors) == ["conv1.weight", "fc.weight"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("make", [torch_file, legacy, safetensors_file])
def test_types_are_kept(dtype: torch.dtype, make: Callable[[Any], Callable[[Path], object]], tmp_path: Path) -> None:
    make({"fc.weight": torch.ones(2, 4, dtype=dtype)})(tmp_path / "x")
    assert read_state_dict(tmp_path / "x").tensors["fc.weight"].dtype == dtype


@pytest.mark.parametrize("make", [torch_file, legacy])
def test_views_of_one_memory(make: Callable[[Any], Callable[[Path], object]], tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    make({"a.weight": whole, "b.weight": whole[1:, 2:4], "c.weight": whole.t()})(tmp_path / "x")
    tensors = read_state_dict(tmp_path / "x").tensors
    assert torch.equal(tensors["b.weight"], whole[1:, 2:4])
    assert torch.equal(tensors["c.weight"], whole.t())


def test_what_lies_beside_the_weights(tmp_path: Path) -> None:
    torch.save({"net": weights(), "arch": "resnet20", "epoch": 3, "acc": 91.5}, tmp_path / "x")
    state = read_state_dict(tmp_path / "x")
    assert (state.key, state.facts) == ("net", {"arch": "resnet20", "epoch": 3, "acc": 91.5})


@pytest.mark.parametrize(
    "beside",
    [
        {"classes": ["ant", "bee"]},
        {"class_names": ("ant", "bee")},
        {"class_to_idx": {"bee": 1, "ant": 0}},
        {"idx_to_class": {1: "bee", 0: "ant"}},
        {"names": {"1": "bee", "0": "ant"}},
        {"meta": {"CLASSES": ("ant", "bee")}},
        {"hyper_parameters": {"class_names": ["ant", "bee"]}},
        {"args": argparse.Namespace(class_names=["ant", "bee"])},
    ],
    ids=str,
)
def test_class_names(beside: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"state_dict": weights(), **beside}, tmp_path / "x")
    assert read_state_dict(tmp_path / "x").classes == CLASSES


@pytest.mark.parametrize("beside", [{}, {"classes": 2}, {"classes": [0, 1]}, {"class_to_idx": {"ant": 0, "bee": 2}}])
def test_no_class_names(beside: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"state_dict": weights(), **beside}, tmp_path / "x")
    assert read_state_dict(tmp_path / "x").classes is None


def test_class_names_of_safetensors(tmp_path: Path) -> None:
    save_file(weights(), tmp_path / "x", {"classes": '["ant", "bee"]', "format": "pt"})
    assert read_state_dict(tmp_path / "x").classes == CLASSES


def a_zip(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def script(path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(4, 2), torch.ones(1, 4)), path)


def swollen(path: Path) -> None:
    """A file of torch whose zip is packed until little is left of it."""
    torch.save({"fc.weight": torch.zeros(100_000)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def cut(make: Callable[[Path], object], kept: int) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[:kept])

    return write


def variances(value: float) -> dict[str, Tensor]:
    return {**weights(), "bn1.running_var": torch.tensor([1.0, 0.0, value, 1.0], dtype=torch.float64)}


def quantised(path: Path) -> None:
    torch.save({"fc.weight": torch.quantize_per_tensor(torch.ones(2, 4), 0.1, 0, torch.qint8)}, path)


# what is refused -> how it is made, a word of the reason
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "an empty file": (raw(b""), "empty"),
    "a pointer of LFS": (raw(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"), "LFS"),
    "a web page": (raw(b"\n<!DOCTYPE html><html>Sign in</html>"), "web page"),
    "an answer in XML": (raw(b"<?xml version='1.0'?><Error>AccessDenied</Error>"), "web page"),
    "an answer in JSON": (raw(b'{"message": "Not Found"}'), "JSON"),
    "a list of users": (raw(b"root:x:0:0:root:/root:/bin/sh\n"), "text"),
    "a zip of text": (raw(a_zip(**{"readme.txt": b"x"})), "zip of something else"),
    "a zip of a checkpoint": (raw(a_zip(**{"model/data.txt": b"x", "best.pt": b"PK"})), "best.pt"),
    "gzip": (raw(b"\x1f\x8b\x08\0\0"), "gzip"),
    "HDF5": (raw(b"\x89HDF\r\n\x1a\n"), "HDF5"),
    "a pickle": (raw(pickle.dumps({"a": np.ones(3)})), "pickle"),
    "bytes": (raw(bytes(range(1, 200))), "neither"),
    "a TorchScript program": (script, "TorchScript"),
    "a packed zip": (swollen, "unpacks"),
    "truncated safetensors": (cut(safetensors_file(weights()), 300), "damaged"),
    "truncated torch": (cut(torch_file(weights()), 900), "damaged"),
    "truncated old torch": (cut(legacy(weights()), -4), "truncated"),
    "a whole network": (torch_file(nn.Sequential(nn.Linear(4, 2))), ".state_dict()"),
    "a whole old network": (legacy(nn.Sequential(nn.Linear(4, 2))), ".state_dict()"),
    "a whole network under a key": (torch_file({"model": nn.Linear(4, 2), "epoch": 1}), "['model'].state_dict()"),
    "a whole network under another": (torch_file({"mine": nn.Linear(4, 2), "epoch": 1}), "['mine'].state_dict()"),
    "two networks": (torch_file({"encoder": weights(), "head": weights()}), "several networks"),
    "no weights": (torch_file({"epoch": 3}), "state_dict"),
    "a list": (torch_file([torch.ones(2)]), "state_dict"),
    "float8": (safetensors_file({"fc.weight": torch.ones(2, 4).to(torch.float8_e4m3fn)}), "float8"),
    "float8 of torch": (torch_file({"fc.weight": torch.ones(2, 4).to(torch.float8_e5m2)}), "float8"),
    "8 bits": (safetensors_file({"fc.weight": torch.ones(2, 4, dtype=torch.int8)}), "int8"),
    "quantised": (quantised, "quantised"),
    "sparse": (torch_file({"fc.weight": torch.eye(3).to_sparse()}), "sparse"),
    "complex": (torch_file({"fc.weight": torch.ones(2, dtype=torch.complex64)}), "complex"),
    "no values": (torch_file({"fc.weight": torch.ones(2, device="meta")}), "without values"),
    "an endless view": (torch_file({"fc.weight": torch.zeros(1).expand(10**12)}), "bytes"),
    "an endless view before 1.6": (legacy({"fc.weight": torch.zeros(1).expand(10**12)}), "bytes"),
    "NaN": (torch_file({"fc.weight": torch.tensor([1.0, torch.nan])}), "fc.weight"),
    "beyond float32": (torch_file({"fc.weight": torch.tensor([1e300], dtype=torch.float64)}), "fc.weight"),
    "variances beyond float32": (torch_file(variances(1e300)), "running_var"),
    "negative variances": (torch_file(variances(-1e-3)), "running_var"),
    "huge variances": (torch_file(variances(3e38)), "running_var"),
    "variances of NaN": (torch_file(variances(float("nan"))), "running_var"),
    "arrays of numpy": (torch_file({"conv.weight": torch.ones(1), "fc.weight": np.ones((2, 4))}), "numpy"),
}


@pytest.mark.filterwarnings("ignore")  # of torch, about quantised tensors and TorchScript, while the file is made
@pytest.mark.parametrize("row", REFUSED)
def test_refused(row: str, tmp_path: Path) -> None:
    make, word = REFUSED[row]
    make(tmp_path / "x.pt")
    message = refusal(tmp_path / "x.pt")
    assert word in message


def refusal(path: Path) -> str:
    with pytest.raises(DassError) as caught:
        read_state_dict(path)
    message = str(caught.value)
    assert message.isprintable()
    return message


class Runs:
    """Asks for a call when it is read."""

    def __init__(self, call: Callable[..., Any], *args: Any) -> None:
        self._reduced = call, args

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._reduced


HOSTILE: dict[str, Callable[[str], Any]] = {
    "os.system": lambda mark: Runs(os.system, f"touch {mark}"),
    "eval": lambda mark: Runs(eval, f"open({mark!r}, 'w')"),
    "exec": lambda mark: Runs(exec, f"open({mark!r}, 'w')"),
    "getattr": lambda mark: Runs(getattr, Path, "touch"),
    "open": lambda mark: Runs(open, mark, "w"),
    "a path that is made": lambda mark: Runs(Path.touch, Path(mark)),
    "numpy": lambda mark: Runs(np.save, mark, np.ones(1)),
    "torch": lambda mark: Runs(torch.save, {}, mark),
}


@pytest.mark.parametrize("key", ["args", "state_dict"])
@pytest.mark.parametrize("make", [torch_file, legacy])
@pytest.mark.parametrize("row", HOSTILE)
def test_no_code_runs(row: str, make: Callable[[Any], Callable[[Path], object]], key: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    make({"state_dict": weights(), key: HOSTILE[row](str(mark))})(tmp_path / "x.pt")
    try:
        read_state_dict(tmp_path / "x.pt")
    except DassError as error:
        assert str(error).isprintable()
    assert not list(tmp_path.glob("mark*"))


def memo_of_gigabytes() -> bytes:
    return b"\x80\x02}r\xff\xff\xff\x7f."


def changed_function() -> bytes:
    """Sets an attribute of the function that rebuilds tensors."""
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}q\0X\x03\0\0\0foo}sb."


@pytest.mark.parametrize("pickled", [memo_of_gigabytes(), changed_function(), b"\x80\x02cos\nsystem\n."])
def test_hostile_pickles(pickled: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(a_zip(**{"x/data.pkl": pickled}))
    refusal(tmp_path / "x.pt")
    assert not hasattr(torch._utils._rebuild_tensor_v2, "foo")


def test_a_mapping_that_is_referred_to_again_and_again(tmp_path: Path) -> None:
    inner: Any = {}
    for _ in range(4):
        inner = dict.fromkeys(range(3_000), inner)
    torch.save({"model": inner}, tmp_path / "x.pt")
    assert "state_dict" in refusal(tmp_path / "x.pt")


@pytest.mark.parametrize("flipped", range(40, 2000, 97))
def test_a_flipped_byte_is_never_a_traceback(flipped: int, tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "x.pt")
    data = bytearray((tmp_path / "x.pt").read_bytes())
    data[flipped] ^= 0x55
    (tmp_path / "x.pt").write_bytes(data)
    try:
        read_state_dict(tmp_path / "x.pt")
    except DassError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    "path", ["absent.pt", "a" * 300, "zero\0byte", "folder", "/dev/null", "file/below", "loop"], ids=lambda p: p[:9]
)
def test_paths_that_are_no_file(path: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError) as caught:
        read_state_dict(tmp_path / path)
    assert str(caught.value).isprintable()
