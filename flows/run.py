"""`python -m flows.run STAGE`: a stage of dvc.yaml, or another module of this package, under the project's server.

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
from flows.exits import exit_with_line, raise_when_terminated
from flows.http_proxies import settle_proxies
from flows.processes import behind_shell, end_with_parent
from flows.server import prefect_server
from flows.warm import run_forked


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
        module: by its name in this package.
        arguments: of its command line.
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
            name = f"flows.{module}"
            sys.modules.pop(name, None)
            runpy.run_module(name, run_name="__main__", alter_sys=True)


def asked(words: Sequence[str], environment: Mapping[str, str]) -> tuple[str, list[str]]:
    """The module to run and its arguments.

    Args:
        words: of the command line.
        environment: where DVC says which stage it runs: `dvc.yaml:teacher@digits`, or without the file.

    Raises:
        UsageError: there is no such module.
    """
    module, *arguments = words or [""]
    if not re.fullmatch(r"[a-z_]+", module) or not Path(__file__).with_name(f"{module}.py").exists():
        raise UsageError(f"there is no stage {module!r}: for example `python -m flows.run splits`")
    name = environment.get("DVC_STAGE", "")
    item = re.fullmatch(rf"(?:.*:)?{module}@(.*)", name, re.DOTALL)
    return module, arguments or ([item[1]] if item else [])


if __name__ == "__main__":
    main()
