"""Types of the deployments' arguments: the server checks them before a run exists."""

from typing import Annotated

from pydantic import AfterValidator, Field

from dass.errors import DassError
from dass.space.architecture import Architecture


def _architecture(text: str) -> str:
    try:
        Architecture.from_json(text)
    except DassError as error:
        raise ValueError(str(error)) from error
    return text


Dataset = Annotated[str, Field(min_length=1, max_length=1000)]
Weights = Annotated[str, Field(pattern=r"\.(safetensors|pt|pth|th|bin|ckpt|tar)$", max_length=1000)]
ArchitectureJson = Annotated[str, Field(pattern=r'^\s*\{\s*"(widths|family)"\s*:'), AfterValidator(_architecture)]
Words = Annotated[str, Field(min_length=1, max_length=200)]
Percent = Annotated[float, Field(ge=0, le=100)]
# As `Limit` of params.yaml, in words that the server can check.
Macs = Annotated[float, Field(gt=0)] | Annotated[str, Field(pattern=r"^\d+(\.\d+)?%$")]
Size = Annotated[float, Field(gt=0)] | Annotated[str, Field(pattern=r"(?i)^\d*\.?\d+ ?([kmg]i?b)?$")]
Latency = Annotated[float, Field(gt=0)] | Annotated[str, Field(pattern=r"(?i)^\d*\.?\d+ ?(us|ms|s)?$")]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
