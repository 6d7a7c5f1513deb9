"""`python -m flows.run STAGE`: a stage of dvc.yaml, or another module of `flows`, under the project's server.

Which dataset or target a stage is about comes from DVC's variable DVC_STAGE (`teacher@digits`), not from its command:
what params.yaml says never passes a shell. By hand: `python -m flows.run teacher digits`.
"""

import os
import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dass.errors import UsageError
from dass.params_file import find_root
from dass.project import keep_state_in, let_threads_sleep
from flows.infrastructure.exits import exit_with_line, raise_when_terminated
from flows.infrastructure.http_proxies import settle_proxies
from flows.infrastructure.processes import behind_shell, end_with_parent
from flows.infrastructure.server import prefect_server
from flows.infrastructure.warm import run_forked

FOLDERS = ("stages", "deployments", "infrastructure", ".")  # where a module is looked for by its name, in this order


def main() -> None:
    """Runs what the command line or DVC asks for, forked from a warm process where there can be one."""
    raise_when_terminated()
    with exit_with_line():
        module, arguments = asked(sys.argv[1:], os.environ)
        os.chdir(find_root())  # where prefect.toml is
        if "DVC_STAGE" in os.environ:
            dvc = behind_shell("flows.run")
            end_with_parent(dvc)  # a second `dvc repro` may come as soon as the first is gone
            if (code := run_forked([module, *arguments], dvc)) is not None:
                sys.exit(code)
    carry_out(module, arguments)


def carry_out(module: str, arguments: Sequence[str]) -> None:
    """Runs a module in this process, as its main program.

    Args:
        module: name of a module of `flows`, without its folder, such as `splits`.
        arguments: arguments of the module's command line.
    """
    raise_when_terminated()
    with exit_with_line():
        root = Path.cwd()
        keep_state_in(root)
        let_threads_sleep()
        with prefect_server(root, linger=True) as api:
            settle_proxies(api)
            os.environ["PREFECT_API_URL"] = api
            if "prefect.context" in sys.modules:  # imported ahead, when the server was not known
                sys.modules["prefect.context"].refresh_global_settings_context()
            sys.argv[1:] = arguments
            name = full_name(module)
            sys.modules.pop(name, None)
            runpy.run_module(name, run_name="__main__", alter_sys=True)


def asked(words: Sequence[str], environment: Mapping[str, str]) -> tuple[str, list[str]]:
    """The module to run and its arguments.

    Args:
        words: words of the command line: the module, then its arguments.
        environment: environment variables; DVC_STAGE names the stage that DVC runs: `dvc.yaml:teacher@digits`, or
            without the file.

    Raises:
        UsageError: there is no such module.
    """
    module, *arguments = words or [""]
    full_name(module)
    name = environment.get("DVC_STAGE", "")
    item = re.fullmatch(rf"(?:.*:)?{module}@(.*)", name, re.DOTALL)
    return module, arguments or ([item[1]] if item else [])


def full_name(module: str) -> str:
    """The name by which Python imports a module of `flows`, such as `flows.stages.splits`.

    Args:
        module: name of a module of `flows`, without its folder, such as `splits`.

    Raises:
        UsageError: there is no such module.
    """
    for folder in FOLDERS if re.fullmatch(r"[a-z][a-z_]*", module) else ():
        if _is_command(Path(__file__).parent / folder / f"{module}.py"):
            return ".".join(["flows", *Path(folder).parts, module])
    stages = sorted(path.stem for path in (Path(__file__).parent / FOLDERS[0]).glob("*.py") if _is_command(path))
    raise UsageError(f"there is no stage {module!r:.60}: the stages are {', '.join(stages)}")


def _is_command(path: Path) -> bool:
    """Whether there is a module that does something when it is the main program."""
    return path.exists() and 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
