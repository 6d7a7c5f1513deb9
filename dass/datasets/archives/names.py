"""Names of files as their makers meant them: bytes of some encoding -> composed Unicode that stays inside."""

import unicodedata
from collections.abc import Iterable

from dass.errors import DassError, UsageError

# GB 2312 puts its 3,755 most usual characters into these first bytes, and those two bytes are both above 0xA0.
_USUAL_CHINESE = range(0xB0, 0xD8)


def choose_encoding(names: Iterable[bytes], otherwise: str, wanted: str | None = None) -> str:
    """Says in which encoding all names of a source are written: UTF-8 or GBK where they fit, else the given one.

    GBK, as Chinese Windows writes, is told by most of its characters being usual ones. Other encodings of two bytes
    a letter cannot be told from it by so few letters: that is what `wanted` is for.

    Args:
        names: as they are stored; those of plain ASCII say nothing.
        otherwise: an encoding that every name fits into.
        wanted: value that the user gave.

    Raises:
        UsageError: `wanted` is no encoding, or a name does not fit into it.
    """
    odd = [name for name in names if not name.isascii()]
    if wanted is not None:
        try:
            for name in odd:
                name.decode(wanted)
            b"".decode(wanted)
        except LookupError as error:
            raise UsageError(f"--names {wanted}: not an encoding; gbk, big5, cp932 and cp949 are some") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"--names {wanted}: a file name does not fit into it ({error})") from error
        return wanted
    if all(_fits(name, "utf-8") for name in odd):
        return "utf-8"
    if all(_fits(name, "gb18030") for name in odd) and _looks_chinese(odd):
        return "gb18030"
    return otherwise


def spell(name: str | bytes, encoding: str = "utf-8") -> str:
    """A name in composed Unicode (NFC): macOS stores accents apart from their letters, others do not."""
    return unicodedata.normalize("NFC", name.decode(encoding) if isinstance(name, bytes) else name)


def safe_name(name: str, label: str) -> str:
    """The name with `/` separators, refused where it is absolute or climbs.

    Raises:
        DassError: it reaches outside of what is called `label`.
    """
    plain = name.replace("\\", "/")
    parts = plain.rstrip("/").split("/")
    if plain.startswith("/") or ".." in parts or parts[0].endswith(":") or "\0" in plain:
        raise DassError(f"{label}: {name!r} reaches outside of the archive: do not use this file, fetch it anew")
    return "/".join(part for part in parts if part not in ("", "."))


def encoding_note(names: Iterable[bytes], encoding: str) -> tuple[str, ...]:
    """A sentence for the user where the encoding was a guess; none for names of UTF-8."""
    if encoding == "utf-8" or all(name.isascii() for name in names):
        return ()
    usual_name = "GBK" if encoding == "gb18030" else encoding
    return (f"file names are not UTF-8 and were read as {usual_name}; --names ENCODING reads them otherwise",)


def _fits(name: bytes, encoding: str) -> bool:
    try:
        name.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _looks_chinese(names: list[bytes]) -> bool:
    letters = [letter for name in names for letter in name.decode("gb18030") if not letter.isascii()]
    codes = [letter.encode("gb18030") for letter in letters]
    usual = sum(len(code) == 2 and code[0] in _USUAL_CHINESE and code[1] > 0xA0 for code in codes)
    return usual * 2 > len(codes)
