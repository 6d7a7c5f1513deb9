"""What versions before 0.2 called keys and values of params.yaml, so that a project of theirs is read as it is."""

from typing import Any

from dass.method_names import method_key

_SEARCH_KEYS = {"starts": "one_batch", "sprints": "k_step"}


def with_todays_names(values: dict[Any, Any]) -> dict[Any, Any]:
    """The values of a params.yaml with old names replaced; whatever has another shape than it should is left as it is.

    Args:
        values: as they come out of YAML; not changed.
    """
    made = dict(values)
    if isinstance(search := values.get("search"), dict):
        made["search"] = {
            name if (name := _SEARCH_KEYS.get(key, key)) not in search else key: value for key, value in search.items()
        }
        if search.get("method") == "ladder":
            made["search"]["method"] = "multi_fidelity"
        if search.get("evolve") is False:  # the only search that there is today
            del made["search"]["evolve"]
    if isinstance(evaluation := values.get("evaluation"), dict):
        made["evaluation"] = {
            key: _methods(value) if key in ("methods", "picks") else value for key, value in evaluation.items()
        }
    return made


def _methods(names: object) -> object:
    if not isinstance(names, list):
        return names
    return [method_key(name) if isinstance(name, str) else name for name in names]
