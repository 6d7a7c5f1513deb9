"""Pruned by the tools, distilled as all students are: `python -m experiments.rivals.run SETTING TASK...`.

Each tool gets the task's teacher and a limit, may look at held-out images for as long as it likes, and delivers a
network. Results go to `docs/study/SETTING/rivals.json`; what is there is not made again.
"""

import copy
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from dass.datasets.augment import normalize
from dass.datasets.task_data import TaskData
from dass.files import read_json, write_json
from dass.params_file import find_root
from dass.training.evaluation import evaluate
from experiments.curves.distil import distil_network
from experiments.curves.setting import SETTINGS, setting_of
from experiments.curves.tasks import SEED, Study, opened, soft_labels
from experiments.rivals.plain import PlainNetwork
from flows.infrastructure.exits import exit_with_line

LIMITS = (0.5, 0.3)
TOOLS = ("ModelOpt FastNAS", "Torch-Pruning")
DIVISOR = 4  # of channels, for ModelOpt; its usual 32 does not fit stages of 16
BATCH = 64
SCORED = 512  # held-out images by which ModelOpt judges; it judges some 200 networks
HALVINGS = 12  # of the ratio's range, until the limit is met closely


@dataclass(frozen=True)
class Result:
    """A pruned and distilled network.

    Attributes:
        task: whose teacher was pruned.
        tool: by what.
        limit: most multiply-accumulates, as a share of the teacher's.
        share: what the network has.
        params: trained weights.
        search_seconds: wall time of the tool, one thread; ModelOpt looks at the parts once for all limits.
        distil_cpu_seconds: processor time of the distillation.
        validation: percent of held-out images in the end.
        test: percent of test images in the end.
    """

    task: str
    tool: str
    limit: float
    share: float
    params: int
    search_seconds: float
    distil_cpu_seconds: float
    validation: float
    test: float


def main(
    setting: Annotated[str, typer.Argument(help="One of " + ", ".join(SETTINGS))],
    tasks: Annotated[list[str], typer.Argument(help="Targets of the setting.")],
) -> None:
    """Prune, distil, write; one thread."""
    torch.set_num_threads(1)
    study = Study(find_root(), setting_of(setting))
    file = study.folder / "rivals.json"
    results = [Result(**one) for one in read_json(file)] if file.exists() else []
    for task in tasks:
        for limit in LIMITS:
            for tool in TOOLS:
                if any((one.task, one.tool, one.limit) == (task, tool, limit) for one in results):
                    continue
                results.append(_tried(study, task, tool, limit))
                print(results[-1], flush=True)
                write_json(file, [asdict(one) for one in results])


def _tried(study: Study, task: str, tool: str, limit: float) -> Result:
    teacher, fit, test = opened(study, task)
    recipe = study.setting.recipe(study.params.distillation, len(fit.train_labels))
    plain = PlainNetwork(copy.deepcopy(teacher)).eval()
    plain.to(memory_format=torch.contiguous_format)  # ModelOpt refuses the other
    whole = _macs(plain, fit.resolution)
    since = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        kept = study.root / "data" / "rivals" / f"{task}.pt"
        pruned = _fastnas(plain, limit, fit, kept) if tool == TOOLS[0] else _torch_pruning(plain, limit, fit)
    seconds = time.perf_counter() - since
    network: Any = pruned  # has what training and evaluation ask of a network
    curve = distil_network(network, fit, test, recipe, soft_labels=soft_labels(study, task), seed=SEED)
    return Result(
        task=task,
        tool=tool,
        limit=limit,
        share=_macs(pruned, fit.resolution) / whole,
        params=sum(parameter.numel() for parameter in pruned.parameters()),
        search_seconds=seconds,
        distil_cpu_seconds=curve.cpu_seconds,
        validation=curve.validation.accuracy,
        test=curve.tests[-1].accuracy,
    )


def _macs(network: nn.Module, resolution: int) -> float:
    """Multiply-accumulates of convolutions and linear layers on one image, counted while it runs."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, resolution, resolution))
    return counter.get_total_flops() / 2


def _fastnas(network: PlainNetwork, limit: float, fit: TaskData, kept: Path) -> nn.Module:
    """ModelOpt's search, with the accuracy on held-out images as its score; it keeps what it saw in a file."""
    from modelopt.torch import prune

    images = normalize(fit.train_images[:1024], torch.float32)
    batches = list(zip(images.split(BATCH), fit.train_labels[:1024].split(BATCH), strict=True))

    def score(candidate: Any) -> float:
        return evaluate(candidate, fit.test_images[:SCORED], fit.test_labels[:SCORED], "float32").accuracy

    kept.parent.mkdir(parents=True, exist_ok=True)
    rules = {"nn.Conv2d": {"*": {"channel_divisor": DIVISOR}}, "nn.BatchNorm2d": {"*": {}}}
    pruned, _ = prune.prune(
        network,
        mode=[("fastnas", rules)],
        constraints={"flops": f"{100 * limit:.0f}%"},
        dummy_input=images[:2],
        config={
            "data_loader": batches,
            "score_func": score,
            "collect_func": lambda batch: batch[0],
            "checkpoint": str(kept),
        },
    )
    return pruned


def _torch_pruning(network: PlainNetwork, limit: float, fit: TaskData) -> nn.Module:
    """Torch-Pruning's magnitude pruner at the least ratio that meets the limit."""
    import torch_pruning

    shown = torch.zeros(1, 3, fit.resolution, fit.resolution)
    whole = _macs(network, fit.resolution)

    def pruned(ratio: float) -> nn.Module:
        copied = copy.deepcopy(network)
        torch_pruning.pruner.MetaPruner(
            copied,
            shown,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=ratio,
            ignored_layers=[copied.stem, copied.head, *(block.conv2 for block in copied.body)],
        ).step()
        return copied

    low, high = 0.0, 0.99
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _macs(pruned(middle), fit.resolution) <= limit * whole:
            high = middle
        else:
            low = middle
    return pruned(high)


if __name__ == "__main__":
    with exit_with_line():
        typer.run(main)
