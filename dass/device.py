"""Which device and precision a run uses."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import torch

from dass.errors import UsageError


def resolve_device(name: str = "auto") -> torch.device:
    """Turns `auto`, `cpu`, `cuda` or `cuda:N` into a device; `auto` takes a GPU when one is there.

    Raises:
        UsageError: the name is unknown or that device is absent.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}: use auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r} is not supported: use auto, cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device {name!r} was asked for but torch sees no GPU: use auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise UsageError(f"device {name!r} was asked for but torch sees cuda:0 to cuda:{last}: use one of these")
    return device


def resolve_precision(precision: Literal["auto", "float32", "bfloat16"], device: torch.device) -> str:
    """Turns `auto` into `bfloat16` where the hardware computes in it, else `float32`."""
    return ("bfloat16" if computes_bfloat16(device) else "float32") if precision == "auto" else precision


def computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 arithmetic is native there, asked of the hardware at run time."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def deterministic() -> Iterator[None]:
    """Has GPUs choose, within, convolutions whose sums have a fixed order."""
    with torch.backends.cudnn.flags(enabled=True, deterministic=True):
        yield


def device_name(device: torch.device) -> str:
    """A name for records: the GPU's product name, or `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def timed_on(device: torch.device) -> str:
    """What a time belongs to: the GPU's product name, or the processor's with the threads that networks use."""
    if device.type == "cuda":
        return device_name(device)
    return f"{_processor()}, {torch.get_num_threads()} thread(s)"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "cpu"
