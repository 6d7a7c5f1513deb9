"""A student's weights as prefix slices of its teacher's (Appendix B.1, Eqs. 9 and 10)."""

from typing import NoReturn

import torch

from dass.errors import UsageError
from dass.families.family import fits
from dass.networks.elastic_resnet import ElasticResNet
from dass.space.architecture import Architecture


def check_fits(architecture: Architecture, teacher: Architecture) -> None:
    """Refuses an architecture that has no remapping from the teacher.

    Raises:
        UsageError: another family or more of what is elastic in it, a stage is deeper or a block wider than the
            teacher's, or a stage is left at another width where the family keeps that.
    """
    if not fits(architecture.family, teacher.family):
        raise UsageError(
            f"architecture {architecture.stage_label} is a network of {architecture.family}, its teacher one of "
            f"{teacher.family}"
        )
    for index, (blocks, available) in enumerate(zip(architecture.widths, teacher.widths, strict=True), start=1):
        if len(blocks) > len(available):
            _refuse(architecture, teacher, f"stage {index} has {len(blocks)} blocks, the teacher's {len(available)}")
        for position, (width, limit) in enumerate(zip(blocks, available, strict=False), start=1):
            if width > limit:
                what = f"stage {index}, block {position} has {width} channels, the teacher's {limit}"
                _refuse(architecture, teacher, what)
        if architecture.family.ends_full and blocks[-1] != available[-1]:
            raise UsageError(
                f"architecture {architecture.stage_label} does not fit its teacher {teacher.stage_label}: "
                f"stage {index} must end at {available[-1]} channels, found {blocks[-1]}"
            )


def _refuse(architecture: Architecture, teacher: Architecture, what: str) -> NoReturn:
    raise UsageError(f"architecture {architecture.stage_label} exceeds its teacher {teacher.stage_label}: {what}")


def remap(teacher: ElasticResNet, architecture: Architecture) -> ElasticResNet:
    """Builds a student that starts from its teacher's weights.

    The student takes the first blocks of each stage and of each tensor the first output and input channels,
    batch-norm statistics, stem and classifier included.

    Args:
        teacher: a network at least as large everywhere.
        architecture: architecture of the student.

    Returns:
        A network with its own copies of the weights, on the teacher's device and in its mode (train or eval).

    Raises:
        UsageError: the architecture is larger than the teacher.
    """
    check_fits(architecture, teacher.architecture)
    with torch.device("meta"):  # no random start for weights that are replaced at once
        student = ElasticResNet(architecture, teacher.classes, normalization=teacher.normalization)
    available = teacher.state_dict()
    sliced = {
        name: available[name][tuple(slice(size) for size in target.shape)].clone(memory_format=torch.contiguous_format)
        for name, target in student.state_dict().items()
    }
    student.load_state_dict(sliced, assign=True)
    return student.requires_grad_(True).train(teacher.training)
