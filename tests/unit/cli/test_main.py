"""What all commands share: help with examples, one line for an error, exit codes."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from dass.cli.main import app, main
from tests.unit.cli.conftest import Dass


def commands() -> Iterator[tuple[str, ...]]:
    """Every command and group there is, as the words after `dass`."""

    def below(command: object, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, (*words, name))

    return below(get_command(app), ())


COMMANDS = list(commands())


def test_all_promised_commands_are_there() -> None:
    promised = {
        "data import", "data download", "data list", "data check", "preset list", "preset use", "plan", "describe",
        "search", "trace", "report", "promote", "rollback", "serve", "students export", "students import",
        "students export-onnx",
    }  # fmt: skip
    assert promised <= {" ".join(words) for words in COMMANDS}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_help_shows_an_example_of_its_own(
    words: tuple[str, ...], flag: str, dass: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = dass(*words, flag)
    assert said.code == 0
    examples = re.findall(r"Example: (dass .*?) *$", said.out, re.MULTILINE)
    assert examples
    for example in examples:
        assert tuple(shlex.split(example)[1 : 1 + len(words)]) == words
    assert not re.search(r"\[(bold|/|dim)", said.out)  # no markup left over


@pytest.mark.parametrize("words", [(), ("data",), ("preset",), ("students",)], ids=" ".join)
def test_a_group_alone_shows_its_help(words: tuple[str, ...], dass: Callable) -> None:
    said = dass(*words)
    assert (said.code, said.err) == (2, "")
    assert "Usage: " in said.out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("describe --nope", r"No such option: --nope; `dass describe --help` shows how"),
        ("--nope", r"No such option: --nope; `dass --help` shows how"),
        ("describe --resolution wide", r"Invalid value for '--resolution': .*integer.*; `dass describe --help` shows"),
        ("describe --classes 0", r"Invalid value for '--classes': .*; `dass describe --help` shows how"),
        ("search --data x", r"Missing option '--teacher'; `dass search --help` shows how"),
        ("preset use", r"Missing argument 'name'; `dass preset use --help` shows how"),
        ("preset use small more", r"Got unexpected extra argument.*; `dass preset use --help` shows how"),
        ("nothing", r"No such command 'nothing'; `dass --help` shows how"),
        ("data zzz", r"No such command 'zzz'; `dass data --help` shows how"),
        ("data thn", r"No such command 'thn'\. Did you mean 'thin'\? `dass data --help` shows how"),
        ("search --max-macs -1 --data x --teacher y", "'-1' is no limit: .*"),
    ],
)
def test_wrong_use_of_options_is_one_line(arguments: str, line: str, refuses: Callable) -> None:
    assert re.fullmatch(f"{line}.*", refuses(2, *arguments.split()))


def test_a_failure_is_one_line_and_its_place_is_shown_on_demand(
    refuses: Callable, monkeypatch: pytest.MonkeyPatch, project: object
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect\nof ours")

    monkeypatch.setattr("dass.space.cost.cost", broken)
    command = ("describe", "--depth", "1,1,1,1", "--width", "8,16,32,64")
    line = refuses(1, *command)
    assert line.startswith("RuntimeError: a defect of ours") and "--debug" in line
    for debug in (("--debug", *command), (*command, "--debug")):
        with pytest.raises(RuntimeError, match="of ours"):
            main(list(debug))


def test_an_interrupted_command_says_so(dass: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dass.space.cost.cost", interrupted)
    said = dass("describe", "--depth", "1,1,1,1", "--width", "8,16,32,64")
    assert (said.code, said.out) == (130, "")
    assert said.err.startswith("interrupted")


def test_outside_a_project_the_missing_file_is_named(
    refuses: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    for command in (["report"], ["plan"], ["students", "export", "source", "x"]):
        assert "params.yaml: No such file" in refuses(2, *command)
    assert "presets/*.yaml" in refuses(2, "preset", "list")


def test_a_mistake_in_params_is_named(refuses: Callable, project: Path) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("resolution: 16", "resolution: 16\n  resolutoin: 8"))
    assert "params.yaml: data.resolutoin: unknown key" in refuses(2, "plan")


@pytest.mark.parametrize("path", ["a" * 300, "b/" * 3000])
def test_a_path_that_nothing_can_be_at(path: str, refuses: Callable, project: Path) -> None:
    for file in ("predictor", "multi_fidelity"):
        (project / f"data/{file}").mkdir(parents=True)
    assert path[:50] in refuses(2, "search", "--data", "digits", "--teacher", "x.pt", "--predictor", path)
    assert path[:50] in refuses(2, "students", "import", "source", path)


def test_a_folder_below_the_project_is_as_good(dass: Dass, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dass("data", "import", "digits").code == 0
    below = project / "data" / "raw"
    monkeypatch.chdir(below)
    listed = dass("data", "list")
    assert "digits at 16x16" in listed.out
    assert dass("data", "import", "digits", "--resolution", "24").code == 0
    assert (project / "data" / "raw" / "digits-24").is_dir()
    assert dass("data", "check", "digits").code == 0
    assert dass("preset", "use", "small").code == 0
    assert (project / "params.yaml").read_bytes() == (project / "presets" / "small.yaml").read_bytes()
    said = dass("serve", "models:/dass-student-digits@nobody")
    assert said.code == 2 and "dass-student-digits" in said.err
    assert (project / "mlflow.db").exists()
    assert {path.name for path in below.iterdir() if not path.name.startswith(".")} == {"digits-16", "digits-24"}


def test_a_home_that_cannot_be_written_is_no_matter(project: Path) -> None:
    home = project / "home"
    home.write_text("not a folder")  # as read-only, for whoever runs the tests
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "XDG"))}
    code = "from dass.cli.main import main; main(['data', 'import', 'glyphs', '--resolution', '16'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env={**outside, "HOME": str(home)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, "matplotlib" in done.stderr.lower()) == (0, False), done.stderr
    assert (project / ".state" / "matplotlib").is_dir()
