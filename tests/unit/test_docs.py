"""Paths, commands, links and tables of the pages: that what they name is there. No sentence is looked at."""

import ast
import re
import runpy
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from dass.cli.main import app
from experiments.page_tables.pages import PAGES as WITH_TABLES
from experiments.page_tables.pages import names, with_tables
from tests.unit.test_layers import LAYERS

ROOT = Path(__file__).parents[2]
PAGES = sorted({
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), ROOT / "docs/study/README.md",
    ROOT / "docs/study/medium/README.md", ROOT / "examples/README.md",
})  # fmt: skip
FOLDERS = "dass|flows|tests|docs|presets|experiments|benchmarks|examples"
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def spans(page: Path) -> list[str]:
    """What stands between backticks within lines, and the lines of blocks of commands; prose alone is left out."""
    text = page.read_text()
    blocks = re.findall(r"(?ms)^ *```\n(.*?)^ *```", text)
    rest = re.sub(r"(?ms)^ *```.*?^ *```", "", text)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", rest)] + joined.splitlines()


def anchors(page: Path) -> set[str]:
    """Names of a page's headings in links."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EACH_PAGE
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        name, _, heading = target.partition("#")
        place = page.parent / name if name else page
        assert place.exists(), target
        assert not heading or heading in anchors(place), target


@EACH_PAGE
def test_every_path_is_there(page: Path) -> None:
    for span in spans(page):
        for path in re.findall(rf"(?<![\w./:-])((?:{FOLDERS})/[\w./-]*\w/?)", span):
            if not re.search(r"[A-Z]{3}(?![A-Z]*\.md)", path):  # NAME stands for anything
                assert (ROOT / path).exists() or path == "docs/study/mine", f"{path} in {span!r}"


@EACH_PAGE
def test_every_command_and_option_is_there(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    stages = set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    for span in spans(page):
        for words in re.findall(r"(?:^|[;&] *)dass ([a-z][^|;&#]*)", span):
            check_dass(words.split(), span)
        for target in re.findall(r"(?:^|[;&] *)make ([a-z-]+)", span):
            assert target in targets, span
        for module in re.findall(r"python -m (\w[\w.]*)", span):
            assert module == "pytest" or find_spec(module), span
        for words in re.findall(r"^dvc repro ([^#]*)", span):
            named = {word.partition("@")[0] for word in words.split() if not word.startswith("-")}
            assert named - {"STAGE"} <= stages, span


def check_dass(words: list[str], span: str) -> None:
    """That words after `dass` name a command and its options."""
    command: Any = get_command(app)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, span
        command = command.commands[words.pop(0)]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known | {"--help"}, span


def test_every_option_that_stands_alone_belongs_to_some_command() -> None:
    def options(command: Any) -> Iterator[str]:
        for one in command.params:
            yield from (*one.opts, *one.secondary_opts)
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)

    known = set(options(get_command(app)))
    for page in PAGES:
        for span in spans(page):
            if span.startswith("--"):
                assert span.split()[0] in known, f"{span!r} in {page.name}"


@EACH_PAGE
def test_lines_are_short(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("page", WITH_TABLES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_are_those_of_the_committed_studies(page: Path) -> None:
    text = page.read_text()
    assert text == with_tables(text), "run `python -m experiments.page_tables`"


def test_no_table_stands_on_two_pages() -> None:
    placed = [name for page in WITH_TABLES for name in names(page.read_text())]
    assert placed
    assert len(placed) == len(set(placed))


def test_the_picture_is_the_one_that_its_source_draws() -> None:
    source = ROOT / "docs" / "images" / "idea.py"
    assert source.with_suffix(".svg").read_text() == runpy.run_path(str(source))["picture"]()


def test_the_order_of_packages_is_the_one_that_is_tested() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    [table] = re.findall(r"(?s)<!-- layers -->\n(.*?)<!-- end of layers -->", text)
    rows = [row.split("|")[1:-1] for row in table.splitlines()[2:]]
    assert [" ".join(re.findall(r"`(\w+)`", names)) for names, _ in rows] == list(LAYERS)
    assert all(contents.strip() for _, contents in rows)


def test_the_lines_that_troubleshooting_explains_are_in_the_code() -> None:
    constants = []
    for path in (*(ROOT / "dass").rglob("*.py"), *(ROOT / "flows").rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text()))
        constants += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    code = "\n".join(constants)
    explained = re.findall(r"(?m)^\| `([^`]+)` \|", (ROOT / "docs" / "troubleshooting.md").read_text())
    assert explained
    assert [words for words in explained if words not in code] == []
