"""Where everything of a project lies: the one place that knows the folders under `data/`."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from dass.config import Params, SearchKind, Target
from dass.errors import UsageError
from dass.params_file import find_root, load_params

# Relative to the root; what the command line looks at without any params.yaml.
RAW = Path("data/raw")
PREDICTOR_FILE = Path("data/predictor/predictor.safetensors")
MULTI_FIDELITY_FILE = Path("data/multi_fidelity/multi_fidelity.safetensors")
OLD_MULTI_FIDELITY_FILE = Path("data/ladder/ladder.safetensors")  # before version 0.2
USED_PREDICTOR = Path("data/used_predictor")  # a release that `dass predictors use` has put there; no stage writes it


def keep_state_in(root: Path) -> None:
    """Has libraries keep what they cache in the project, since a home may be missing or read-only.

    Call it before matplotlib is imported; what the user has set stays.
    """
    if (root / "params.yaml").is_file():
        os.environ.setdefault("MPLCONFIGDIR", str(root / ".state" / "matplotlib"))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it then keeps it elsewhere, and tells so in five lines


def let_threads_sleep() -> None:
    """Has GNU OpenMP's threads sleep soon while they wait for work, unless the user says otherwise.

    By default they wait at full speed for milliseconds, which takes the cores from other processes; threads that sleep
    at once are slower where there are no others. Call it before torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


@dataclass(frozen=True)
class Project:
    """A project folder and its parameters.

    Attributes:
        root: the folder that holds params.yaml.
        params: values of params.yaml.
    """

    root: Path
    params: Params

    @classmethod
    def open(cls, root: Path | None = None) -> "Project":
        """Reads the project in `root` (default: the one that the current folder lies in).

        Raises:
            UsageError: there is no valid params.yaml.
        """
        root = root.resolve() if root else find_root()
        return cls(root, load_params(root / "params.yaml"))

    @property
    def raw(self) -> Path:
        """Folder of all packed datasets."""
        return self.root / RAW

    def packed(self, dataset: str, resolution: int | None = None) -> Path:
        """Folder of a packed dataset.

        What is packed at another resolution than the working one lies within, so that DVC has both as one output.

        Args:
            dataset: name of the dataset.
            resolution: side of its images in pixels; None for the working resolution.
        """
        working = self.params.data.resolution
        folder = self.raw / f"{dataset}-{working}"
        return folder if resolution in (None, working) else folder / f"at-{resolution}"

    def target_packed(self, name: str) -> Path:
        """Folder of a target's packed dataset, at the target's resolution."""
        target = self.target(name)
        return self.packed(target.dataset, target.resolution)

    @property
    def names_note(self) -> Path:
        """What stage `names` leaves once params.yaml is checked."""
        return self.root / "data" / "names"

    @property
    def resolutions_note(self) -> Path:
        """What stage `names` leaves of the resolutions at which targets want datasets, beside the working one."""
        return self.root / "data" / "resolutions.json"

    @property
    def splits(self) -> Path:
        """Folder of the source tasks' index files."""
        return self.root / "data" / "splits"

    @property
    def source_teachers(self) -> Path:
        """Folder of the source tasks' teachers."""
        return self.root / "data" / "teachers" / "source"

    def source_teacher_file(self, task: str) -> Path:
        """The weights of a source task's teacher."""
        return self.source_teachers / f"{task}.safetensors"

    @property
    def source_students(self) -> Path:
        """Folder of the source tasks' student-accuracy database."""
        return self.root / "data" / "students" / "source"

    @property
    def predictor(self) -> Path:
        """Folder of the meta-learned predictor."""
        return self.predictor_file.parent

    @property
    def predictor_file(self) -> Path:
        """The predictor's weights and rates."""
        return self.root / PREDICTOR_FILE

    @property
    def checkpoints(self) -> Path:
        """Folder for the user's own teachers."""
        return self.root / "data" / "checkpoints"

    def target(self, name: str) -> Target:
        """A target's block of params.yaml.

        Raises:
            UsageError: there is no such target.
        """
        if name not in self.params.targets:
            raise UsageError(f"params.yaml has no target {name!r}: it has {', '.join(self.params.targets)}")
        return self.params.targets[name]

    def target_teacher(self, name: str) -> Path:
        """Folder of a target's teacher."""
        return self.root / "data" / "teachers" / "targets" / name

    def target_teacher_file(self, name: str) -> Path:
        """The weights of a target's teacher."""
        return self.target_teacher(name) / f"{name}.safetensors"

    def target_students(self, name: str) -> Path:
        """Folder of a target's student-accuracy database."""
        return self.root / "data" / "students" / "targets" / name

    def search(self, name: str) -> Path:
        """Folder of a target's ranking and Pareto picture."""
        return self.root / "data" / "search" / name

    def search_file(self, name: str) -> Path:
        """A target's ranking."""
        return self.search(name) / "search.json"

    def distilled(self, name: str) -> Path:
        """Folder of a target's distilled student."""
        return self.root / "data" / "distilled" / name

    def student_file(self, name: str) -> Path:
        """The weights of a target's distilled student."""
        return self.distilled(name) / f"{name}.safetensors"

    @property
    def multi_fidelity(self) -> Path:
        """Folder of the multi-fidelity predictor."""
        return (self.root / MULTI_FIDELITY_FILE).parent

    @property
    def multi_fidelity_file(self) -> Path:
        """What the multi-fidelity predictor has learned; where earlier versions left it, while there is no newer."""
        file, old = self.root / MULTI_FIDELITY_FILE, self.root / OLD_MULTI_FIDELITY_FILE
        return old if old.exists() and not file.exists() else file

    def predictors(self, kind: SearchKind) -> list[Path]:
        """Folders of what a kind of search ranks by; none for a race."""
        folders = {"dass": [self.predictor], "multi_fidelity": [self.predictor, self.multi_fidelity], "race": []}
        return folders[kind]

    @property
    def scores(self) -> Path:
        """Folder of what the compared methods gave, a file per target."""
        return self.root / "data" / "scores"

    @property
    def picks(self) -> Path:
        """Folder of the records of the compared methods' distilled picks, a file per target."""
        return self.root / "data" / "picks"

    @property
    def lengths(self) -> Path:
        """Folder of the records of students distilled beyond the pipeline (`experiments.lengths`)."""
        return self.root / "data" / "lengths"

    @property
    def meta_trained(self) -> Path:
        """Folder of unfinished meta-trainings that were started from a page, one for each set of settings."""
        return self.root / ".state" / "meta_train"

    @property
    def learned(self) -> Path:
        """Folder of what compared methods have learned; it spares learning it again and may be deleted."""
        return self.root / ".state" / "rankers"

    @property
    def proxies(self) -> Path:
        """Folder of what was measured of students; it spares measuring again, and may be deleted."""
        return self.root / ".state" / "evidence"

    @property
    def reports(self) -> Path:
        """Folder of tables and pictures."""
        return self.root / "reports"
