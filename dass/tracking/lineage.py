"""What code and data a result came from: the git commit and the hashes that DVC recorded."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from dass.errors import DassError

UNKNOWN = "unknown"
_LONGEST_PATCH = 1_000_000


@dataclass(frozen=True)
class DataHash:
    """The content of one file or folder as DVC recorded it.

    Attributes:
        path: relative to the project folder, with forward slashes.
        md5: DVC's hash; it ends in `.dir` for a folder.
        tracked: whether DVC has a copy, as of what stages make; of what people bring it knows the hash alone.
    """

    path: str
    md5: str
    tracked: bool = True


@dataclass(frozen=True)
class Lineage:
    """Where a result came from.

    Attributes:
        commit: full hash of the git commit, or "unknown" outside a repository or before the first commit.
        branch: name of the branch; "unknown" there too and on a detached head.
        dirty: whether tracked files differed from that commit, or git could not say in half a minute. `dvc.lock` does
            not count: it changes while a pipeline runs, and what it says is recorded in `data`.
        data: hashes of the inputs that DVC had recorded.
        lock: the text of dvc.lock, kept with each run: a run usually comes before the commit of its lock, and
            `dvc checkout` needs it to bring the inputs back.
        patch: the differences of a dirty tree, byte for byte, for `git apply`; empty where clean, unknown or above
            1 MB.
    """

    commit: str
    branch: str
    dirty: bool
    data: tuple[DataHash, ...]
    lock: str = ""
    patch: bytes = b""

    def tags(self) -> dict[str, str]:
        """The lineage as MLflow tags, for runs and for model versions alike."""
        return {
            "git.commit": self.commit,
            "git.branch": self.branch,
            "git.dirty": str(self.dirty).lower(),
            **{f"{'dvc' if item.tracked else 'brought'}.{_tag_part(item.path)}": item.md5 for item in self.data},
        }


def lineage(root: Path, paths: Iterable[Path | str]) -> Lineage:
    """Reads the lineage of work done now, in `root`, from `paths`.

    Args:
        root: the project folder.
        paths: inputs, absolute or relative to `root`; a path inside a folder that DVC tracks stands for that
            folder; a path that DVC does not know is left out.

    Raises:
        DassError: dvc.lock is there but cannot be read.
    """
    commit = git(root, "rev-parse", "--verify", "HEAD") or UNKNOWN
    branch = git(root, "symbolic-ref", "--short", "HEAD") or UNKNOWN
    changes = ("--", ".", ":(exclude)dvc.lock")
    status = git(root, "status", "--porcelain", "--untracked-files=no", *changes)
    dirty = commit != UNKNOWN if status is None else bool(status)
    patch = (_output(root, "diff", "--binary", "--relative", "HEAD", *changes) or b"") if dirty else b""
    lock = _read_lock(root / "dvc.lock")
    data = _matching(parse_lock(lock, str(root / "dvc.lock")), root, paths) if lock else ()
    return Lineage(commit, branch, dirty, data, lock, patch if len(patch) <= _LONGEST_PATCH else b"")


def _read_lock(path: Path) -> str:
    """The text of a dvc.lock, empty where there is none yet."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise DassError(f"cannot read {path}: {error}") from error


def _matching(recorded: tuple[DataHash, ...], root: Path, paths: Iterable[Path | str]) -> tuple[DataHash, ...]:
    """Those of `recorded` that are or hold one of `paths`, sorted by path and without repeats."""
    by_path = {item.path: item for item in recorded}
    outputs = set()
    for path in paths:
        # DVC writes paths relative to dvc.lock; one outside the project stays absolute and matches nothing.
        relative = PurePosixPath(os.path.relpath(root / path, root))
        tracked = next((str(folder) for folder in (relative, *relative.parents) if str(folder) in by_path), None)
        if tracked is not None:
            outputs.add(by_path[tracked])
    return tuple(sorted(outputs, key=lambda item: item.path))


def parse_lock(text: str, where: str) -> tuple[DataHash, ...]:
    """The outputs that a dvc.lock lists, and the inputs that no stage makes.

    Raises:
        DassError: it is not a dvc.lock; `where` names it.
    """
    try:
        stages: Sequence[dict[str, Any]] = list(yaml.safe_load(text)["stages"].values())
        entries = {
            item["path"]: DataHash(item["path"], item["md5"], tracked=side == "outs")
            for side in ("deps", "outs")  # outs last: what a stage made overrules what another one read
            for stage in stages
            for item in stage.get(side, [])
            if "md5" in item
        }
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise DassError(f"{where} is not a dvc.lock: restore it with `git checkout dvc.lock`") from error
    return tuple(entries.values())


def git(root: Path, *arguments: str) -> str | None:
    """The output of a git command in `root`, stripped; None where git or the repository is missing or refuses."""
    output = _output(root, *arguments)
    return None if output is None else output.decode(errors="replace").strip("\n")


def _output(root: Path, *arguments: str) -> bytes | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            check=True,
            timeout=30,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # a look must not get in the way of a commit
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout


def _tag_part(path: str) -> str:
    """A path as the tail of a tag's name, which may hold word characters, '/', '.', '-' and blanks only."""
    return "".join(sign if sign.isalnum() or sign in "/._- " else "_" for sign in path)
