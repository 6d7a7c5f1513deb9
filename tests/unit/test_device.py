"""Which device and precision a run uses, on whatever this machine has."""

import pytest
import torch

from dass.device import computes_bfloat16, device_name, resolve_device, resolve_precision
from dass.errors import UsageError

CPU = torch.device("cpu")
GPUS = torch.cuda.device_count()
needs_gpu = pytest.mark.skipif(not GPUS, reason="torch sees no GPU here")
needs_none = pytest.mark.skipif(GPUS > 0, reason="torch sees a GPU here")


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    assert resolve_device() == resolve_device("auto") == torch.device("cuda" if GPUS else "cpu")


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == CPU
    assert device_name(CPU) == "cpu"


@pytest.mark.parametrize("name", ["", "gpu", "tpu", "cuda:x", "cuda:-1", "mps", "meta", "CPU"])
def test_another_name_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UsageError, match="use auto, cpu or cuda") as caught:
        resolve_device(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


@needs_none
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"device '{name}' .*GPU"):
        resolve_device(name)


@needs_gpu
def test_a_gpu_by_number() -> None:
    assert resolve_device("cuda:0") == torch.device("cuda:0")
    assert device_name(resolve_device("cuda")) == torch.cuda.get_device_name(0)
    with pytest.raises(UsageError, match=f"sees cuda:0 to cuda:{GPUS - 1}"):
        resolve_device(f"cuda:{GPUS}")


def test_auto_precision_is_what_the_hardware_computes_in() -> None:
    native = computes_bfloat16(CPU)
    assert resolve_precision("auto", CPU) == ("bfloat16" if native else "float32")
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 - says what the processor has, in another way than torch's
            flags = file.read().split()
    except FileNotFoundError:
        return
    assert native == bool({"avx512_bf16", "amx_tile"} & set(flags))


def test_a_precision_that_was_asked_for_is_kept() -> None:
    assert resolve_precision("float32", CPU) == "float32"
    assert resolve_precision("bfloat16", CPU) == "bfloat16"
