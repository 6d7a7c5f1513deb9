import subprocess
from pathlib import Path

import pytest

from dass.errors import DassError
from dass.tracking.lineage import DataHash, Lineage, lineage, parse_lock

LOCK = """\
schema: '2.0'
stages:
  splits:
    cmd: python -m flows.splits
    deps:
    - path: data/raw/glyphs-32
      hash: md5
      md5: aaa.dir
      size: 10
      nfiles: 5
    - path: data/checkpoints
      hash: md5
      md5: bbb.dir
    params:
      params.yaml:
        seed: 0
    outs:
    - path: data/splits
      hash: md5
      md5: ccc.dir
  dataset@digits:
    cmd: python -m flows.dataset digits
    outs:
    - path: data/raw/glyphs-32
      hash: md5
      md5: ddd.dir
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "code.py").write_text("a = 1\n")
    (tmp_path / "dvc.lock").write_text(LOCK)
    _git(tmp_path, "init", "--quiet", "--initial-branch", "work")
    _git(tmp_path, "add", "code.py", "dvc.lock")
    _git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_a_clean_repository(repository: Path) -> None:
    found = lineage(repository, [repository / "data/splits/split0.json", "data/raw/glyphs-32", "data/unknown"])
    assert found.commit == _git(repository, "rev-parse", "HEAD")
    assert (found.branch, found.dirty, found.patch) == ("work", False, b"")
    assert found.data == (DataHash("data/raw/glyphs-32", "ddd.dir"), DataHash("data/splits", "ccc.dir"))
    assert found.lock == LOCK
    assert found.tags() == {
        "git.commit": found.commit,
        "git.branch": "work",
        "git.dirty": "false",
        "dvc.data/raw/glyphs-32": "ddd.dir",
        "dvc.data/splits": "ccc.dir",
    }


def test_inputs_that_no_stage_makes_are_known_too(repository: Path) -> None:
    assert lineage(repository, ["data/checkpoints/mine.pt"]).data == (
        DataHash("data/checkpoints", "bbb.dir", tracked=False),
    )


def test_dirty_means_tracked_files_other_than_the_lock(repository: Path) -> None:
    (repository / "notes.txt").write_text("not tracked")
    (repository / "dvc.lock").write_text(LOCK.replace("ccc", "eee"))
    assert not lineage(repository, []).dirty
    (repository / "code.py").write_text("a = 2\n")
    found = lineage(repository, ["data/splits"])
    assert found.dirty
    assert found.data[0].md5 == "eee.dir"
    _git(repository, "checkout", "--quiet", "code.py")
    subprocess.run(["git", "-C", str(repository), "apply"], input=found.patch, check=True)
    assert (repository / "code.py").read_text() == "a = 2\n"


def test_a_patch_of_any_bytes_can_be_applied(repository: Path) -> None:
    old, new = {"latin.txt": b"gr\xfc\xdfe\n", "picture.png": bytes(range(256))}, {}
    for name, content in old.items():
        (repository / name).write_bytes(content)
        new[name] = content[::-1] + b"\n"
    _git(repository, "add", ".")
    _git(repository, "commit", "--quiet", "-m", "bytes")
    for name, content in new.items():
        (repository / name).write_bytes(content)
    found = lineage(repository, [])
    _git(repository, "checkout", "--quiet", ".")
    subprocess.run(["git", "-C", str(repository), "apply"], input=found.patch, check=True)
    assert {name: (repository / name).read_bytes() for name in new} == new


def test_a_tree_that_git_cannot_look_at_is_not_called_clean(repository: Path) -> None:
    (repository / ".git" / "index").write_bytes(b"damaged")
    found = lineage(repository, [])
    assert len(found.commit) == 40
    assert (found.dirty, found.patch) == (True, b"")


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    _git(repository, "checkout", "--quiet", "--detach")
    found = lineage(repository, [])
    assert found.branch == "unknown"
    assert len(found.commit) == 40


def test_before_the_first_commit_and_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert lineage(tmp_path, ["data"]) == Lineage("unknown", "unknown", False, ())
    _git(tmp_path, "init", "--quiet", "--initial-branch", "work")
    assert lineage(tmp_path, []).commit == "unknown"


def test_without_git_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lineage(tmp_path, []).commit == "unknown"


def test_a_path_outside_the_project_is_left_out(repository: Path) -> None:
    assert lineage(repository, [repository.parent, "/somewhere/else"]).data == ()


@pytest.mark.parametrize("text", ["stages: [", "just text", "stages: {a: {outs: [{md5: x}]}}", "schema: '2.0'"])
def test_a_broken_lock_is_one_clear_line(text: str) -> None:
    with pytest.raises(DassError, match=r"where is not a dvc\.lock"):
        parse_lock(text, "where")


def test_odd_paths_make_valid_tags() -> None:
    tags = Lineage("c", "b", False, (DataHash("data/été (1)", "x"),)).tags()
    assert tags["dvc.data/été _1_"] == "x"


def _git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
