"""The one exception that users are meant to read."""

import re


class DassError(Exception):
    """Something the user can put right: one line that says what, where, and what to do.

    The command line prints the line and exits with 1; a library user catches it. Anything else
    that escapes is a defect of ours.
    """


class UsageError(DassError):
    """The request itself is wrong (a bad option or parameter): exit code 2."""


def brief(error: Exception) -> str:
    """The first line of what a library says, or its kind where it says nothing: for one line of ours."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(error))  # colours, which would stay on where a line is cut
    lines = "".join(sign for sign in plain.strip() if sign.isprintable() or sign.isspace()).splitlines()
    return f"{lines[0] if lines else type(error).__name__:.120}"
