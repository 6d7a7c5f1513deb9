"""All network families by name, and families as JSON values."""

from dataclasses import asdict
from typing import Any

from dass.errors import UsageError
from dass.families.family import Family, Reading, Shapes
from dass.families.paper_resnet import PaperResNet

FAMILIES: dict[str, type[Family]] = {family.name: family for family in (PaperResNet,)}


def family_to_json(family: Family) -> dict[str, Any]:
    """The family's name and fixed parts."""
    return {"name": family.name, **asdict(family)}  # type: ignore[call-overload]  # every family is a dataclass


def family_from_json(value: Any) -> Family:
    """The inverse of `family_to_json`.

    Raises:
        UsageError: an unknown family, or its parts have another form.
    """
    if not isinstance(value, dict) or value.get("name") not in FAMILIES:
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
    raise UsageError(
        f"the checkpoint is of no supported network family: its {len(shapes)} weights begin with {first}; "
        f"supported are {', '.join(FAMILIES)}; see docs/families.md"
    )
