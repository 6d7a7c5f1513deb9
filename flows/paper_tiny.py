"""All tables of the paper and Figure 3 at a size that two cores finish in a quarter of an hour, in throw-away projects.

    DASS_PAPER_IMAGES=FOLDER python -m flows.paper_tiny

Two projects under .state/paper-tiny: `paper` has Tables 2 to 5 and 7 and Figure 3, `imagenet` Table 6. Their params are
those of the presets of these names, made small. FOLDER holds real images as zips: tiny-imagenet*.zip for the sources,
dtd.zip and plantvillage.zip for the targets; without it glyphs and digits stand for them. ImageNet is a few hundred
images of the sources in its layout. The page is .state/paper-tiny/report.md. Such sizes show that all runs, and nothing
of what methods are worth.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from dass.datasets.importing import import_dataset
from dass.datasets.packed import open_packed
from dass.datasets.thinning import thin
from dass.errors import DassError, UsageError
from dass.files import write_text
from dass.params_file import find_root, read_yaml
from dass.project import Project
from flows.infrastructure.exits import exit_with_line

IMAGES = "DASS_PAPER_IMAGES"
PER_CLASS = 40  # training images of a source class
IMAGENET = (6, 40, 10)  # classes, training images and test images of each

SMALL: dict[str, dict[str, Any]] = {
    "source": {"groups": 5, "classes_per_group": 4, "splits": [0, 1, 2, 3, 4, 5], "validation": [4, 5]},
    "teacher": {"epochs": 2, "min_steps": 60, "batch_size": 32, "augmentation": {"flip": True, "crop_padding": 2}},
    "distillation": {
        "epochs": 1,
        "min_steps": 12,
        "batch_size": 32,
        "evaluations": 1,
        "augmentation": {"flip": True, "crop_padding": 2},
    },
    "students": {"per_source": 6, "per_target": 6, "repeated": 0, "group": 2},
    "predictor": {"episodes": 40, "query": 4},
    "search": {"candidates": 40, "one_batch": 20, "k_step": 4, "steps": 10, "max_macs": "80%", "min_macs": "20%"},
    "evaluation": {"methods": "all", "seeds": 1, "pick_seeds": 1, "bootstrap": 200},
}
PAPER: dict[str, Any] = {
    "data": {"resolution": 32},
    "space": {"widths": [8, 16, 16, 32], "max_depth": 3, "ratios": [0.5, 0.75, 1.0], "granularity": "stage"},
}
OFA: dict[str, Any] = {
    "data": {"resolution": 64},
    "space": {
        "family": "ofa_resnet",
        "streams": [48, 64, 96, 128],
        "base_depths": [1, 1, 2, 1],
        "more_blocks": 1,
        "stream_ratios": [0.5, 1.0],
        "expand_ratios": [0.25, 0.5],
        "stem_widths": [[8, 16], [16, 24]],
    },
    "targets": {"imagenet": {"dataset": "imagenet"}},
}


def main() -> None:
    """Makes both projects, runs them, and writes the page.

    Raises:
        UsageError: the folder of images lacks a zip.
        DassError: a project's run failed.
    """
    root = find_root()
    home = root / ".state" / "paper-tiny"
    shutil.rmtree(home, ignore_errors=True)
    given = os.environ.get(IMAGES)
    images = Path(given).resolve() if given else None
    parts = [f"# All tables at the smallest size, on {'real' if images else 'rendered'} images\n"]
    for preset, changes in (("paper", PAPER), ("imagenet", OFA)):
        project = make_project(root, home / preset, preset, changes, images)
        run(project, "flows.run", "every_stage")
        reports = ["tables.md"]
        if preset == "paper":
            run(project, "experiments.readings", "1")
            reports.append("readings.md")
        for name in reports:
            parts += [f"## {preset}: {name}\n", (project.reports / name).read_text(encoding="utf-8")]
    write_text(home / "report.md", "\n".join(parts))
    print(f"{home / 'report.md'}: all tables; figures are in {home}/*/reports/figures")


def make_project(root: Path, folder: Path, preset: str, changes: Mapping[str, Any], images: Path | None) -> Project:
    """A project of a preset made small, with its datasets imported."""
    folder.mkdir(parents=True)
    shutil.copy(root / "prefect.toml", folder)
    (folder / "data" / "checkpoints").mkdir(parents=True)
    values = small_values(root, preset, changes, images)
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(values, file)
    project = Project.open(folder)
    for name in project.params.datasets:
        for side in (project.params.data.resolution, *project.params.further_resolutions(name)):
            path = None if name in ("glyphs", "digits") else zip_of(name, project, images)
            import_dataset(name, path, project.raw, side, folder=project.packed(name, side))
    return project


def small_values(root: Path, preset: str, changes: Mapping[str, Any], images: Path | None) -> dict[str, Any]:
    """What params.yaml says: a preset with the changes that make it small, on real images or rendered ones."""
    values: Any = read_yaml((root / "presets" / f"{preset}.yaml").read_text(encoding="utf-8"))
    for block, change in SMALL.items():
        values[block] = {**values[block], **change}
    source, first, second = ("tiny-imagenet", "dtd", "plantvillage") if images else ("glyphs", "digits", "digits")
    values["targets"] = {
        "table4": {"dataset": first},
        "table5": {"dataset": second, "min_macs": 0, "max_macs": "40%"},
        "table7": {"dataset": first, "resolution": 48, "min_macs": 0, "max_macs": "40%"},
    }
    values |= changes
    values["source"]["dataset"] = source
    values["datasets"] = list(dict.fromkeys([source, *(target["dataset"] for target in values["targets"].values())]))
    made: dict[str, Any] = values
    return made


def zip_of(name: str, project: Project, images: Path | None) -> Path:
    """Where a dataset's images lie; ImageNet's are written from the source's.

    Raises:
        UsageError: they are not in the folder.
    """
    if name == "imagenet":
        return imagenet_layout(project)
    assert images is not None
    zips = sorted(images.glob(f"{name}*.zip"))
    if not zips:
        raise UsageError(f"{IMAGES}: {images} has no {name}*.zip: add it, or leave the variable out")
    if name != project.params.source.dataset:
        return zips[0]
    thinned = project.root / "source.zip"
    thin(zips[0], thinned, PER_CLASS)
    return thinned


def imagenet_layout(project: Project) -> Path:
    """Some images of the source dataset as train/WNID/*.JPEG and val/WNID/*.JPEG."""
    packed, folder = open_packed(project.packed(project.params.source.dataset)), project.root / "ILSVRC"
    classes, train, test = IMAGENET
    for label in range(classes):
        own = np.concatenate(
            [packed.train_images[packed.train_labels == label], packed.test_images[packed.test_labels == label]]
        )
        cut = min(train, len(own) * train // (train + test))
        for number, pixels in enumerate(own[: cut + test]):
            path = folder / ("train" if number < cut else "val") / f"n{label:08d}" / f"{number}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, quality=95)
    return folder


def run(project: Project, module: str, *arguments: str) -> None:
    """Runs a module of this repository in a project.

    Args:
        project: the throw-away project, which has no code of its own.
        module: full name of the module.
        arguments: arguments of the module's command line.

    Raises:
        DassError: it failed; what it said stands before.
    """
    code = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(code), os.environ.get("PYTHONPATH", "")])}
    for outside in ("MLFLOW_TRACKING_URI", "PREFECT_HOME"):  # a throw-away project has its own
        environment.pop(outside, None)
    environment["PREFECT_HOME"] = str(project.root / ".prefect")
    command = [sys.executable, "-m", module, *arguments]
    if subprocess.run(command, cwd=project.root, env=environment, check=False).returncode:
        raise DassError(f"{' '.join(command[1:])} failed in {project.root}: see its lines above")


if __name__ == "__main__":
    with exit_with_line():
        main()
