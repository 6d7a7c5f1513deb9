"""Stage `names`: params.yaml is checked before its names become paths, which DVC would empty for the stages below.

It needs neither Prefect nor torch, and runs only when names have changed.
"""

from dass.files import write_text
from dass.project import Project
from flows.exits import exit_with_line


def main() -> None:
    """Leaves a note, always the same, so that no other stage runs again because a name is new."""
    with exit_with_line():
        write_text(Project.open().names_note, "the names in params.yaml are fit for paths\n")


if __name__ == "__main__":
    main()
