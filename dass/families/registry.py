"""All network families by name, and families as JSON values."""

import re
from dataclasses import asdict
from typing import Any

from dass.errors import UsageError
from dass.families.cifar_resnet import CifarResNet
from dass.families.family import Family, Reading, Shapes
from dass.families.ofa_resnet import OfaResNet
from dass.families.paper_resnet import PaperResNet
from dass.families.torchvision_resnet import TorchvisionResNet

# What unsupported networks are called, by a name of one of their weights; the first that fits counts.
OTHERS = {
    r"(^|\.)(cls_token|class_token|pos_embed|attn|self_attention|qkv)(\.|$)": "a vision transformer",
    r"(^|\.)(denseblock\d|denselayer\d)": "a DenseNet",
    r"(conv_dw|conv_pwl|^features\.\d+\.(conv|block)\.)": "a MobileNet or EfficientNet",
    r"(^|\.)(Mixed_|inception)": "an Inception network",
    r"^(stages|features)\.\d+\.(blocks\.)?\d+\.(block\.\d|dwconv|conv_dw|gamma|layer_scale)": "a ConvNeXt",
    r"^features\.\d+\.weight$": "a VGG or AlexNet",
}

FAMILIES: dict[str, type[Family]] = {
    family.name: family for family in (PaperResNet, CifarResNet, TorchvisionResNet, OfaResNet)
}


def family_to_json(family: Family) -> dict[str, Any]:
    """The family's name and fixed parts."""
    return {"name": family.name, **asdict(family)}  # type: ignore[call-overload]  # every family is a dataclass


def family_from_json(value: Any) -> Family:
    """The inverse of `family_to_json`.

    Raises:
        UsageError: an unknown family, or its parts have another form.
    """
    if not isinstance(value, dict) or str(value.get("name")) not in FAMILIES:
        raise UsageError(f"a network family must have a name among {', '.join(FAMILIES)}, found {value!r:.80}")
    parts = {key: tuple(part) if isinstance(part, list) else part for key, part in value.items() if key != "name"}
    try:
        return FAMILIES[value["name"]](**parts)
    except TypeError as error:
        raise UsageError(f"network family {value['name']}: {error}") from error


def read_family(shapes: Shapes) -> Reading:
    """Recognises the family of a checkpoint by the names and shapes of its weights.

    Raises:
        UsageError: no family fits, or the nearest one does not support a part of the network.
    """
    for family in FAMILIES.values():
        if (reading := family.read(shapes)) is not None:
            return reading
    first = ", ".join(list(shapes)[:3])
    kind = next((kind for pattern, kind in OTHERS.items() if any(re.search(pattern, name) for name in shapes)), None)
    raise UsageError(
        f"the checkpoint is of no supported network family: {f'it looks like {kind}, ' if kind else ''}its "
        f"{len(shapes)} weights begin with {first}; supported are {', '.join(FAMILIES)}; see docs/families.md"
    )
