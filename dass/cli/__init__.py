"""The command line: a module for each command or group.

At its top a module imports what its command's options need: typer, and modules of this project that compute nothing.
All else is imported by the function that uses it, so that help and completion come at once
(`tests/unit/test_imports.py`); types of helpers stand under `TYPE_CHECKING`.
"""
