"""Times what methods pay for, on a machine that does nothing else: `python -m experiments.curves.clock SETTING FILE`.

Records of learning curves carry processor seconds, but those were taken beside other work; a replay uses these.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer

from dass.device import device_name
from dass.errors import DassError
from dass.files import write_json
from dass.params_file import find_root
from dass.training.workers import Workers
from experiments.curves.setting import SETTINGS, setting_of
from experiments.curves.tasks import CPU, Study
from experiments.curves.timing import STUDENTS, measure
from flows.infrastructure.exits import exit_with_line


def main(
    setting: Annotated[str, typer.Argument(help="One of " + ", ".join(SETTINGS))],
    file: Annotated[Path, typer.Argument(help="JSON file to write.")],
) -> None:
    """One worker of one thread; medians of a few rounds on the first target, a line fitted over several students."""
    with Workers(1) as processes:  # where students are distilled
        [outcome] = processes.run(measure, [(Study(find_root(), setting_of(setting)),)])
    if outcome.died:
        raise DassError(f"nothing was timed, since the worker {outcome.died}: run it again")
    clock, sizes, steps = outcome.value
    facts = {
        "device": device_name(CPU),
        "threads": 1,
        "torch": str(torch.__version__),
        "task": setting_of(setting).targets[0],
        "students": STUDENTS,
    }
    write_json(file, {"clock": asdict(clock), **facts, "sizes": sizes, "step_seconds": steps})
    print(asdict(clock))


if __name__ == "__main__":
    with exit_with_line():
        typer.run(main)
