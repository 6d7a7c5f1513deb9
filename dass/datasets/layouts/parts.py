"""Which folder is the train part and which the test part, by the names that people give them."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

Part = Literal["train", "test", "eval", "val", "dev", "unlabelled", "sample"]

# Parts that may serve as test images, the preferred one first.
HELD_OUT: tuple[Part, ...] = ("test", "eval", "val", "dev")
_WORDS: dict[Part, str] = {
    "train": "train training trn 训练 训练集",
    "test": "test tests testing tst 测试 测试集",
    "eval": "eval evaluation holdout",
    "val": "val valid validation validate 验证 验证集",
    "dev": "dev development",
    "unlabelled": "pred predict prediction unlabeled unlabelled",
    "sample": "sample samples",
}
_PART_OF = {word: part for part, words in _WORDS.items() for word in words.split()}
# What may stand beside such a word and changes nothing.
_FILLERS = {"set", "data", "dataset", "images", "image", "imgs", "img", "pictures", "split", "folder", "part", "subset"}
_JOINED = re.compile(rf"({'|'.join(_PART_OF)})({'|'.join(sorted(_FILLERS))})s?")


def find_parts(names: Iterable[str]) -> dict[str, Part]:
    """Tells folder names that mean a part of a dataset, in any case: `Training`, `test_set`, `valData`, `train2017`.

    With another word beside it, as in `cars_train`, a name means a part only where a second one has the same
    word, as `cars_test`.

    Args:
        names: names of folders that lie side by side.

    Returns:
        Name -> part, for those that mean one.
    """
    readings = {name: reading for name in names if (reading := _read(name))}
    parts_of: dict[tuple[str, ...], set[Part]] = {}
    for part, rest in readings.values():
        parts_of.setdefault(rest, set()).add(part)
    return {name: part for name, (part, rest) in readings.items() if not rest or len(parts_of[rest]) > 1}


def _read(name: str) -> tuple[Part, tuple[str, ...]] | None:
    """The part that a name means, and its other words; None where it has no or several words of parts."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name))
    words: list[str] = []
    for word in re.findall(r"[^\W\d_]+", spaced.lower()):
        joined = _JOINED.fullmatch(word)
        words += [joined[1]] if joined else [word]
    parts = [_PART_OF[word] for word in words if word in _PART_OF]
    if "sample" in parts:  # of a part, as `trainingSample`
        parts = ["sample"]
    if len(parts) != 1:
        return None
    return parts[0], tuple(word for word in words if word not in _PART_OF and word not in _FILLERS)
