"""A predictor on targets of another family: `python -m experiments.other_family WEIGHTS PROJECT OUT`.

WEIGHTS is a multi-fidelity predictor, PROJECT has targets whose students its pipeline has distilled. OUT says how the
predictor ranks them by each fidelity, and how far its accuracies are off.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from dass.evaluation.correlation import spearman
from dass.files import file_id, write_json
from dass.multi_fidelity.checkpoint import load_multi_fidelity
from dass.project import Project
from dass.shipped.fixture import Fixture
from dass.shipped.from_project import targets_of
from dass.shipped.predict import predict
from dass.training.workers import Workers
from flows.infrastructure.exits import exit_with_line


def main(
    weights: Annotated[Path, typer.Argument(help="The predictor's .safetensors file.")],
    project: Annotated[Path, typer.Argument(help="Folder of the project.")],
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
) -> None:
    """Measure a multi-fidelity predictor on a project's targets."""
    with Workers(2) as workers:
        targets = [_measured(weights, target, workers) for target in targets_of(Project.open(project))]
    write_json(out, {"predictor": file_id(weights), "torch": str(torch.__version__), "targets": targets})


def _measured(weights: Path, target: Fixture, workers: Workers) -> dict[str, object]:
    reached = np.array(target.accuracies)
    fidelities = {}
    for fidelity in load_multi_fidelity(weights)[0].processes_:
        made = predict("multi_fidelity", weights, target, fidelity.key, workers)
        assert made.low is not None and made.high is not None  # the multi-fidelity predictor has intervals
        fidelities[fidelity.key] = {
            "src": float(spearman(made.mean, reached)),
            "too_high": float((made.mean - reached).mean()),
            "covered": float(np.mean((made.low <= reached) & (reached <= made.high))),
        }
        print(target.card.task, fidelity.key, fidelities[fidelity.key], flush=True)
    return {
        "target": target.card.task,
        "family": target.teacher.architecture.family.name,
        "content": target.data.data_id,
        "teacher_accuracy": target.card.accuracy,
        "students": len(reached),
        "test_images": target.test_images,
        "accuracies": target.accuracies,
        "architectures": [one.to_json() for one in target.architectures],
        "fidelities": fidelities,
    }


if __name__ == "__main__":
    with exit_with_line():
        typer.run(main)
