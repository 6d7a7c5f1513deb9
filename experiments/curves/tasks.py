"""Images and teachers of a study's tasks."""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import torch

from dass.cards import card_path
from dass.config import Params
from dass.datasets.packed import load_target, open_packed
from dass.datasets.splits import load_split, make_splits
from dass.datasets.task_data import TaskData
from dass.datasets.validation import held_out
from dass.errors import UsageError
from dass.networks.checkpoint import TeacherCard, load_card, load_teacher, save_teacher
from dass.networks.elastic_resnet import ElasticResNet
from dass.project import Project
from dass.space.architecture import Architecture
from dass.space.cost import cost
from dass.space.search_space import SearchSpace
from dass.tasks.stored import stored_target
from dass.training.evaluation import evaluate
from dass.training.recipes import train_and_save_teacher
from dass.training.soft_labels import SoftLabels, epoch_soft_labels
from dass.training.user_teacher import TeacherFile, bring_in_teacher
from experiments.curves.distil import distil_curve
from experiments.curves.record import CurveRecord
from experiments.curves.setting import Setting

CPU = torch.device("cpu")
SEED = 0


@dataclass(frozen=True)
class Study:
    """A study in a project folder, which holds the preset and the packed images.

    Attributes:
        root: the project's folder.
        setting: what is measured.
        checkpoints: folder of the teachers from elsewhere; None where the setting has none.
    """

    root: Path
    setting: Setting
    checkpoints: Path | None = None

    @cached_property
    def project(self) -> Project:
        """The project."""
        return Project.open(self.root)

    @property
    def folder(self) -> Path:
        """Where teachers and curves go, to be committed."""
        return self.root / "docs" / "study" / self.setting.name

    @property
    def params(self) -> Params:
        """The preset."""
        return self.project.params

    def space(self, task: str) -> SearchSpace:
        """Of a task's students; of a teacher from elsewhere, once it is imported."""
        if self._foreign(task):
            largest, own = load_card(self.teacher_file(task)).architecture, SearchSpace.from_config(self.params.space)
            return SearchSpace.below(largest, own.ratios, own.granularity, own.divisor)
        return SearchSpace.from_config(self.params.space)

    def checkpoint(self, task: str) -> Path | None:
        """The file of a task's teacher from elsewhere; None for a teacher that is trained here.

        Raises:
            UsageError: the folder of these files is not known.
        """
        if not (found := self._foreign(task)):
            return None
        if self.checkpoints is None:
            raise UsageError(f"{task} has a teacher from elsewhere: give --checkpoints with the folder of {found[2]}")
        return self.checkpoints / found[2]

    def _foreign(self, task: str) -> tuple[str, str, str] | None:
        return next((one for one in self.setting.foreign if one[0] == task), None)

    def teacher_file(self, task: str) -> Path:
        """A task's teacher, where `dass study save --teachers` keeps it."""
        kind = "source" if task in self.setting.sources else "targets"
        return self.folder.with_name(self.setting.teachers) / "teachers" / kind / f"{task}.safetensors"

    def curves_file(self, task: str) -> Path:
        """Learning curves of a task's students that were drawn at random, all distilled."""
        return self.folder / "records" / f"{task}.jsonl"

    def picks_file(self, task: str) -> Path:
        """What rules have picked on a task."""
        return self.folder / "picks" / f"{task}.json"

    def named_file(self, task: str) -> Path:
        """Learning curves of students that rules have picked, and of picks that were trained on labels alone."""
        return self.folder / "records" / f"{task}.named.jsonl"

    def macs(self, task: str, architecture: Architecture) -> int:
        """Multiply-accumulates of a task's student on one image."""
        card = load_card(self.teacher_file(task))
        return cost(architecture, card.resolution, len(card.classes)).macs

    def data(self, task: str) -> TaskData:
        """A task's images."""
        if found := self._foreign(task):
            return replace(load_target(self.project.packed(found[1])), name=task)
        if task in self.setting.targets:
            return stored_target(self.project, task).load()
        source = self.params.source
        packed = self.project.packed(source.dataset)
        made = make_splits(open_packed(packed), source.groups, source.classes_per_group, self.params.seed)
        return load_split(packed, next(split for split in made if split.name == task))


def train_teacher_job(study: Study, task: str) -> TeacherCard:
    """Trains a task's teacher and rounds its weights to half precision, so that they can be kept in little space."""
    path = study.teacher_file(task)
    if card_path(path).exists():
        return load_teacher(path)[1]
    data = study.data(task)
    if checkpoint := study.checkpoint(task):
        return save_teacher(path, *bring_in_teacher(TeacherFile(checkpoint), data, CPU))
    recipe = study.params.teacher.for_images(len(data.train_labels))
    whole = path.with_name(f"{task}.whole.safetensors")
    train_and_save_teacher(lambda: data, study.space(task).largest, recipe, whole, seed=SEED, device="cpu")
    teacher, card = load_teacher(whole)
    with torch.no_grad():
        for tensor in teacher.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())
    reached = evaluate(teacher, data.test_images, data.test_labels, "float32")
    card = save_teacher(path, teacher, replace(card, accuracy=reached.accuracy, loss=reached.loss))
    whole.unlink()
    card_path(whole).unlink()
    return card


@cache  # a worker stays with its tasks, and images and logits are the same for all their students
def opened(study: Study, task: str) -> tuple[ElasticResNet, TaskData, TaskData]:
    """A task's teacher, its training images with a part held out, and the task with its test images."""
    teacher, _ = load_teacher(study.teacher_file(task))
    test = study.data(task)
    return teacher.to(memory_format=torch.channels_last), held_out(test, SEED), test


@cache
def soft_labels(study: Study, task: str) -> SoftLabels:
    teacher, fit, _ = opened(study, task)
    recipe = study.setting.recipe(study.params.distillation, len(fit.train_labels))
    path = study.root / "data" / "curves" / study.setting.name / f"{task}.pt"
    if not path.exists():
        epochs = [
            epoch_soft_labels(teacher, fit, recipe, seed=SEED, epoch=epoch, device=CPU)
            for epoch in range(recipe.epochs)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(epochs, path)
    return SoftLabels(tuple(torch.load(path)))


def soft_labels_job(study: Study, task: str) -> None:
    """Keeps the teacher's logits for the whole schedule of a task."""
    soft_labels(study, task)


def distil_job(study: Study, task: str, architecture: Architecture, alpha: float | None = None) -> CurveRecord:
    """Distils one student of a task; `alpha` 1 trains the remapped student on the labels alone."""
    teacher, fit, test = opened(study, task)
    recipe = study.setting.recipe(study.params.distillation, len(fit.train_labels))
    if alpha is not None:
        recipe = recipe.model_copy(update={"alpha": alpha})
    return distil_curve(
        teacher, architecture, fit, test, recipe,
        soft_labels=soft_labels(study, task), seed=SEED,
    )  # fmt: skip
