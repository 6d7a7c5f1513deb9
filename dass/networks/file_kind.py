"""Tells what a file given as weights is by its first bytes, since endings are often wrong."""

from pathlib import Path
from typing import Literal

from dass.errors import DassError
from dass.files import regular_file
from dass.networks.torch_file import LEGACY_MAGIC

Kind = Literal["safetensors", "torch", "legacy"]

_START = 512  # enough for every mark below; that of a tar stands at byte 257
_MAX_HEADER = 100_000_000  # of safetensors, by its own definition
_PACKED = "unpack it and give the file of weights inside"
_SAVE = "save the network's state_dict() by torch.save or safetensors"
_MARKS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the weights themselves", "run `git lfs pull` where it is"),
    (b"\x1f\x8b", "compressed by gzip", _PACKED),
    (b"BZh", "compressed by bzip2", _PACKED),
    (b"\xfd7zXZ\x00", "compressed by xz", _PACKED),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", _PACKED),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _PACKED),
    (b"Rar!", "a RAR archive", _PACKED),
    (b"\x89HDF", "an HDF5 file, as Keras writes it", _SAVE),
    (b"\x93NUMPY", "an array of numpy", _SAVE),
    (b"GGUF", "a GGUF file", _SAVE),
    (b"\x89PNG", "an image", "give the file of weights"),
    (b"\xff\xd8\xff", "an image", "give the file of weights"),
    (b"%PDF", "a PDF", "give the file of weights"),
    (b"\x7fELF", "a program", "give the file of weights"),
)


def file_kind(path: Path) -> Kind:
    """Whether a file is of safetensors, of torch since 1.6, or of torch before.

    Raises:
        UsageError: there is no such file.
        DassError: it cannot be read, or is something else.
    """
    regular_file(path, "checkpoint", "give the path of a .safetensors or .pt file")
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError as error:
        raise DassError(f"cannot read {path}: {error.strerror or error}: fix its permissions") from error
    if start.startswith(b"PK"):
        return "torch"
    if start.startswith(LEGACY_MAGIC):
        return "legacy"
    if 2 < int.from_bytes(start[:8], "little") <= _MAX_HEADER and start[8:9] == b"{":
        return "safetensors"
    raise not_weights(path, *_other(start))


def not_weights(path: Path, what: str, remedy: str = _SAVE) -> DassError:
    """The one line about a file that is not read as weights."""
    return DassError(f"{path} cannot be read as weights: it is {what}; {remedy}")


def _other(start: bytes) -> tuple[str, str]:
    """What a file is that begins so, and what to do about it."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    kinds = (
        *((start.startswith(mark), what, remedy) for mark, what, remedy in _MARKS),
        (not start, "empty", "fetch it again"),
        (text[:1] == b"<", "a web page, an error of the site for example", "download the file itself"),
        (start[257:262] == b"ustar", "a tar archive", _PACKED),
        (start[:1] == b"\x80" and start[1:2] <= b"\x05", "a pickle that torch.save did not write", _SAVE),
        (text[:1] in (b"{", b"["), "JSON", "give the file of weights"),
        (all(byte >= 32 or byte in b"\t\n\r\f" for byte in start), "text", "give the file of weights"),
        (True, "neither of safetensors nor of torch", "it is truncated or no checkpoint: fetch it again"),
    )
    return next((what, remedy) for fits, what, remedy in kinds if fits)
