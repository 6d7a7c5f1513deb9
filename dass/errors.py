"""The one exception that users are meant to read."""


class DassError(Exception):
    """Something the user can put right: one line that says what, where, and what to do.

    The command line prints the line and exits with 1; a library user catches it. Anything else
    that escapes is a defect of ours.
    """


class UsageError(DassError):
    """The request itself is wrong (a bad option or parameter): exit code 2."""
