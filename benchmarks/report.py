"""What a benchmark reports, and what the device could do at best."""

import math
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console

from dass.evaluation.tables import Table
from dass.files import write_json, write_text


@dataclass(frozen=True)
class BenchmarkRow:
    """One comparison, both sides measured alternately in one process run on one device.

    Attributes:
        name: what is compared.
        naive_seconds: the naive way, median.
        ours_seconds: ours, median.
        ratio: naive / ours.
        floor_fraction: share of the device's measured rate that ours reaches, 0..1; NaN where none applies.
        peak_mib: peak memory, in MiB, of this process, which runs the naive side too, and of its workers: resident
            memory, or on a GPU what they took of its memory; NaN where it was not measured.
        rounds: how many the medians are of.
    """

    name: str
    naive_seconds: float
    ours_seconds: float
    ratio: float
    floor_fraction: float
    peak_mib: float
    rounds: int = 1


HEADINGS = ("what", "naive ms", "ours ms", "ratio", "of floor rate", "peak MiB", "rounds")
PAGE = """# Benchmarks

Made by `make bench ARGS="--markdown {path}"`. {conditions}.

Each line is measured in one process on one device. Both sides alternate. Times are medians of the given number of
rounds. There is a page of [a CPU](benchmarks.md) and one of [a GPU](benchmarks-gpu.md).

- *Naive* is the plain way, written out in `benchmarks/`. Each candidate is a module with copied weights and one forward
  pass. The loader transforms PIL images one by one, in float32. The teacher looks at every batch of every student. An
  episode is a Python loop over tasks.
- *Ours* runs on all cores. Training uses reduced precision where the device computes it, as in the pipeline. Lines of
  scoring name their precision; the pipeline scores in float32.
- *Of floor rate* is the time that the unavoidable operations need at the rate of one large convolution in the same
  precision, over the time taken. For loading, the rate is the measured bandwidth of bytes.
- *Peak* is the resident memory of this process, which also runs the naive side, and of its workers. On a GPU it is the
  memory that they took of the GPU.

{table}
"""


def write_page(rows: Sequence[BenchmarkRow], path: Path, *, conditions: str) -> None:
    """Writes the rows as a page, atomically; sections that `write_section` has written into it stay.

    Args:
        rows: of all benchmarks.
        path: of the Markdown file.
        conditions: device, threads and versions.
    """
    sections = _sections(path.read_text(encoding="utf-8")) if path.exists() else ""
    page = PAGE.format(path=path, conditions=conditions, table=_table(rows).markdown()).rstrip()
    write_text(path, f"{page}\n{sections}")


def _sections(page: str) -> str:
    """What `write_section` has written into a page."""
    return "".join(
        f"\n{part}\n" for part in re.findall(r"(?s)<!-- benchmarks: .*?<!-- end of benchmarks: .*? -->", page)
    )


def write_section(rows: Sequence[BenchmarkRow], path: Path, *, name: str, conditions: str) -> None:
    """Writes the rows into a page, between two markers: in place of what is there, else at its end.

    Args:
        rows: of some benchmarks.
        path: of the Markdown file.
        name: of these benchmarks; each name has its own markers.
        conditions: device, threads and versions.
    """
    begin, end = f"<!-- benchmarks: {name} -->", f"<!-- end of benchmarks: {name} -->"
    heading = name.replace("_", "-").capitalize()
    section = f"{begin}\n## {heading}\n{conditions}.\n\n{_table(rows).markdown().strip()}\n{end}"
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    before, found, rest = page.partition(begin)
    after = rest.partition(end)[2].lstrip("\n") if found else ""
    after = f"\n{after}" if after else ""
    write_text(path, f"{before.rstrip()}\n\n{section}\n{after}".lstrip())


def print_rows(rows: Sequence[BenchmarkRow]) -> None:
    """Prints one line per row."""
    Console().print(_table(rows).rich())


def write_rows(rows: Sequence[BenchmarkRow], path: Path) -> None:
    """Writes the rows as a JSON list, atomically."""
    write_json(path, [asdict(row) for row in rows])


def _table(rows: Sequence[BenchmarkRow]) -> Table:
    return Table("Ours against the naive way", HEADINGS, tuple(map(_cells, rows)))


def _cells(row: BenchmarkRow) -> tuple[str, ...]:
    times = (f"{1000 * seconds:,.3f}" for seconds in (row.naive_seconds, row.ours_seconds))
    floor = "" if math.isnan(row.floor_fraction) else f"{row.floor_fraction:.0%}"
    peak = "" if math.isnan(row.peak_mib) else f"{row.peak_mib:,.0f}"
    return row.name, *times, f"{row.ratio:.1f}x", floor, peak, str(row.rounds)


def timed(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def convolution_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large channels-last 3x3 convolution, all cores, best of several."""
    images = torch.randn(64, 128, 32, 32, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    kernel = torch.randn(128, 128, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        seconds = min(timed(lambda: F.conv2d(images, kernel, padding=1)) for _ in range(12))
    return 2 * images.numel() * 128 * 9 / seconds


def memory_bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written, of a copy that no cache holds, best of several."""
    source = torch.zeros(2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / min(timed(lambda: target.copy_(source)) for _ in range(5))


def reset_peak_memory() -> None:
    """Starts counting this process's peak anew, where the system allows it (Linux)."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    counter = Path("/proc/self/clear_refs")
    if counter.exists():
        counter.write_text("5")


def peak_memory_mib() -> float:
    """Peak memory of this process since `reset_peak_memory`, in MiB: of a GPU where there is one, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved() / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
