"""Kinds of values in params.yaml, and the base of its blocks."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dass import amounts
from dass.errors import UsageError

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)]


def _limit(value: object, read: Callable[[float | str], object] = amounts.Limit.upper) -> object:
    """Checks a limit and keeps it as it was written; a text is a share."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise UsageError("of another type")
        if isinstance(value, str) and not value.endswith("%"):
            raise UsageError("a number in quotes")
        read(value)
    except UsageError:
        raise ValueError(
            f"must be millions above 0 or a share of the teacher's such as 40%, found {value!r:.60}"
        ) from None
    return value


def _amount(read: Callable[[float | str], float]) -> BeforeValidator:
    """Checks a value as `read` does, which is of `dass.amounts`, and keeps it as it was written."""

    def check(value: object) -> object:
        if not isinstance(value, int | float | str):
            raise ValueError(f"must be a number or a text, found {value!r:.60}")
        try:
            read(value)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return value

    return BeforeValidator(check)


Size = Annotated[float | str, _amount(amounts.megabytes)]
Latency = Annotated[float | str, _amount(amounts.milliseconds)]
Limit = Annotated[float | str, BeforeValidator(_limit)]  # millions, or a share of what the teacher has
LowerLimit = Annotated[float | str, BeforeValidator(partial(_limit, read=amounts.Limit.lower))]  # 0 for none


def _file_name(text: str) -> str:
    if "/" in text or text in ("", ".", "..") or any(ord(sign) < ord(" ") for sign in text) or len(text.encode()) > 255:
        raise ValueError(f"{text!r:.60} must be the name of a file in data/checkpoints")
    return text


FileName = Annotated[str, AfterValidator(_file_name)]
Percentage = Annotated[float, Field(ge=0, le=100)]


Resolution = Annotated[int, Field(ge=16, le=256, multiple_of=8)]  # side of a square image in pixels


class Block(BaseModel):
    """Base of every block: immutable, no unknown keys, no silent conversion, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def as_tuple(value: object) -> object:
    """A list, as YAML has it, as a tuple; anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def ascending_to_one(ratios: tuple[float, ...]) -> tuple[float, ...]:
    """Refuses ratios that do not ascend within (0, 1] to 1."""
    if list(ratios) != sorted(set(ratios)) or ratios[0] <= 0 or ratios[-1] != 1.0:
        raise ValueError("ratios must ascend within (0, 1] and end in 1.0")
    return ratios
