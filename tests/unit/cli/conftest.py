"""The real command line, run in a throw-away project."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dass.cli.main import main

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class OnRung:
    """What a command left.

    Attributes:
        code: its exit code.
        out: what it printed.
        err: what it printed on stderr.
    """

    code: int
    out: str
    err: str


Dass = Callable[..., OnRung]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the presets and the demo's params.yaml, as the current one."""
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copy(ROOT / "presets" / "demo.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dass(project: Path, capsys: pytest.CaptureFixture[str]) -> Dass:
    """Runs `dass` with some arguments; a refusal must be one line and no traceback."""

    def run(*arguments: object) -> OnRung:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        if code and err:
            assert err.count("\n") == 1
            assert "Traceback" not in err
        return OnRung(code, out, err)

    return run


@pytest.fixture
def refuses(dass: Dass) -> Callable[..., str]:
    """Runs a command that must end with an exit code and one line that says `error: ...`; gives the line."""

    def run(code: int, *arguments: object) -> str:
        said = dass(*arguments)
        assert (said.code, said.out) == (code, "")
        assert said.err.startswith("error: ")
        return said.err.removeprefix("error: ").strip()

    return run
