"""Stage `names`: params.yaml is checked before its names become paths, which DVC would empty for the stages below.

It needs neither Prefect nor torch, and runs only when names have changed.
"""

from dass.files import write_json, write_text
from dass.project import Project
from flows.infrastructure.exits import exit_with_line


def main() -> None:
    """Leaves a note, always the same, so that no other stage runs again because a name is new.

    And another one, for stage `dataset`, of the resolutions at which targets want datasets beside data.resolution.
    """
    with exit_with_line():
        project = Project.open()
        further = {name: list(project.params.further_resolutions(name)) for name in project.params.datasets}
        write_json(project.resolutions_note, {name: sides for name, sides in further.items() if sides})
        write_text(project.names_note, "the names in params.yaml are fit for paths\n")


if __name__ == "__main__":
    main()
