"""The code that each stage of dvc.yaml depends on: `python -m flows.code_deps` writes it there.

A stage depends on the module of its flow and on every module of this project that can be reached from it by imports, at
the top of a file or within a function. A call `import_module(f"PACKAGE.{name}")` counts as an import of all modules of
the package. Left out is what carries a stage out and records it, since no output of DVC depends on it. A folder stands
for its files where a stage depends on all of them.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CARRIES_OUT = "flows/infrastructure/"  # how a stage is started and ended, and what its page shows
RECORDS = "dass/tracking/"  # what MLflow is told
TRACKED = ("register", "evaluate")  # stages whose outputs hold what MLflow answered
CODE = re.compile(r"(dass|flows)/")
CHOSEN = re.compile(r"import_module\(f'([\w.]+)\.\{\w+\}'\)")  # any module of a package, named when the program runs
WIDTH = 120


def code_of(stage: str, root: Path = ROOT) -> list[str]:
    """Files and folders of the code that a stage depends on, relative to the project and sorted.

    Args:
        stage: its name in dvc.yaml, which is that of its flow's module.
        root: folder of the project.
    """
    reached: set[str] = set()
    flow = f"flows/stages/{stage}.py"
    waiting = [flow if (root / flow).exists() else f"flows/{stage}.py"]  # one that needs no Prefect is a command
    while waiting:
        path = waiting.pop()
        recorded = path.startswith(RECORDS) and stage not in TRACKED
        if path not in reached and not path.startswith(CARRIES_OUT) and not recorded:
            reached.add(path)
            waiting += imported(root, path)
    return _folded(reached, root)


@cache
def imported(root: Path, path: str) -> tuple[str, ...]:
    """Modules of this project that a module imports, as paths; what only a type checker sees is left out.

    Args:
        root: folder of the project.
        path: of the module, relative to `root`.
    """
    return tuple(_imports(ast.parse((root / path).read_text(encoding="utf-8")), root))


def _imports(tree: ast.AST, root: Path) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and (package := CHOSEN.fullmatch(ast.unparse(node))):
            names = [f"{package[1]}.{path.stem}" for path in root.joinpath(*package[1].split(".")).glob("*.py")]
        for name in names:
            yield from _module(name, root)
        yield from _imports(node, root)


def _module(name: str, root: Path) -> Iterator[str]:
    """The file of a module of this project; nothing for other names. A package's own file counts if it has code."""
    if name.split(".", maxsplit=1)[0] not in ("dass", "flows"):
        return
    path = Path(*name.split("."))
    if (root / path).with_suffix(".py").is_file():
        yield path.with_suffix(".py").as_posix()
    elif (file := root / path / "__init__.py").is_file() and len(path.parts) > 1 and _has_code(file):
        yield (path / "__init__.py").as_posix()


@cache
def _has_code(file: Path) -> bool:
    return any(not isinstance(node, ast.Expr) for node in ast.parse(file.read_text(encoding="utf-8")).body)


def _folded(files: set[str], root: Path) -> list[str]:
    """The files, a folder in place of all of its files."""
    paths, parents = set(files), {parent.as_posix() for file in files for parent in Path(file).parents}
    for folder in sorted(parents - {".", "dass", "flows"}):  # the project's own folder may hold an environment
        inside = {file.relative_to(root).as_posix() for file in (root / folder).rglob("*.py") if _has_code(file)}
        if len(inside) > 1 and inside <= paths:
            paths = {path for path in paths if not path.startswith(f"{folder}/")} | {folder}
    return sorted(paths)


def written(text: str, root: Path = ROOT) -> str:
    """The text of dvc.yaml with each stage's code; all else stays as it is, comments included.

    Args:
        text: of dvc.yaml.
        root: folder of the project.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedSeq

    yaml = YAML()
    yaml.width, yaml.preserve_quotes = WIDTH, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    graph = yaml.load(text)
    for name, entry in graph["stages"].items():
        stage = entry.get("do", entry)
        deps = CommentedSeq([*(path for path in stage["deps"] if not CODE.match(path)), *code_of(name, root)])
        deps.fa.set_flow_style()
        stage["deps"] = deps
    found = StringIO()
    yaml.dump(graph, found)
    return "\n".join(line.rstrip() for line in found.getvalue().splitlines()) + "\n"


def main() -> None:
    """Writes the code of every stage into dvc.yaml."""
    file = ROOT / "dvc.yaml"
    file.write_text(written(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
