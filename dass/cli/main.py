"""`dass`: everything without a UI, for scripts and for people in a hurry."""

import sys

import typer

from dass.cli.clean import clean
from dass.cli.data import data_app
from dass.cli.describe import describe
from dass.cli.plan import plan
from dass.cli.predictors import predictors_app
from dass.cli.preset import preset_app
from dass.cli.registry import promote, rollback
from dass.cli.report import report
from dass.cli.search import search
from dass.cli.serve import serve
from dass.cli.shrink import shrink
from dass.cli.students import students_app
from dass.cli.study import study_app
from dass.cli.teacher import teacher_app
from dass.cli.trace import trace
from dass.errors import DassError, UsageError
from dass.params_file import find_root
from dass.project import keep_state_in, let_threads_sleep

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_app, name="data")
app.add_typer(preset_app, name="preset")
app.add_typer(students_app, name="students")
app.add_typer(teacher_app, name="teacher")
app.add_typer(study_app, name="study")
app.add_typer(predictors_app, name="predictors")
app.command()(plan)
app.command()(describe)
app.command()(search)
app.command()(shrink)
app.command()(report)
app.command()(trace)
app.command()(promote)
app.command()(rollback)
app.command()(serve)
app.command()(clean)

DEBUG = "--debug"
INTERRUPTED = 130


@app.callback()
def options(
    debug: bool = typer.Option(False, DEBUG, help="Show the traceback of an error."),
) -> None:
    """Distillation-aware student search: rank small networks below a trained teacher, and distil the best one.

    Example: dass shrink --data photos.zip --teacher resnet34.pth --max-macs 40%
    """


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; errors become one line and an exit code (2 wrong use, 1 failure, 130 interrupted)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = DEBUG in arguments
    # Accepted anywhere, since people add it at the end of the command that just failed.
    arguments = [argument for argument in arguments if argument != DEBUG]
    keep_state_in(find_root())
    let_threads_sleep()
    try:
        code = app(args=arguments, prog_name="dass", standalone_mode=False) or 0
    except Exception as error:
        if debug:
            raise
        line, code = _told(error)
        if line:
            plain = "".join(sign if sign.isprintable() else "?" for sign in " ".join(line.split()))
            print(f"error: {plain}", file=sys.stderr)
    if code == INTERRUPTED:
        print("interrupted; what was finished is kept, the same command goes on from there", file=sys.stderr)
    sys.exit(code)


def _told(error: Exception) -> tuple[str, int]:
    """The line that tells of an error, and the exit code."""
    if isinstance(error, DassError):
        return str(error), 2 if isinstance(error, UsageError) else 1
    if isinstance(error, typer.TyperException):
        context, message = getattr(error, "ctx", None), error.format_message().rstrip(".")
        # There is no message where the help was shown instead, since a command was named without anything more.
        stop = "" if message.endswith("?") else ";"  # a question is a guess at what was meant
        hint = f"{stop} `{context.command_path} --help` shows how" if context and message else ""
        return message + hint, error.exit_code
    if isinstance(error, OSError) and error.filename:  # a path that nothing can be at, above all one too long
        return f"{error.filename!s:.100}: {error.strerror}: check the path", 2
    if isinstance(error, ValueError) and "null byte" in str(error):
        return "a path holds a zero byte: check the paths that were given", 2
    return f"{type(error).__name__}: {error} (--debug shows where)", 1


if __name__ == "__main__":
    main()
