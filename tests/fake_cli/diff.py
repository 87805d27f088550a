"""Where two states differ, with paths as the real CLI writes them."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

# Free keys stand in brackets, fields after a dot.
MAPS = {
    "base_parameters",
    "configuration",
    "custom_tags",
    "job_parameters",
    "named_parameters",
    "options",
    "parameters",
    "properties",
    "spark_conf",
    "spark_env_vars",
    "tags",
}

# Lists whose entries are known by a key, not by their place.
_ENTRY_KEYS = {
    "acls": ("principal",),
    "depends_on": ("task_key",),
    "environments": ("environment_key",),
    "job_clusters": ("job_cluster_key",),
    "parameters": ("name",),
    "tasks": ("task_key",),
    "__embed__": ("user_name", "service_principal_name", "group_name", "principal"),
}
_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d+)\]|\['((?:[^']|'')*)'\]|\[(\w+)='((?:[^']|'')*)'\]")


class Difference(NamedTuple):
    """A path, and the two values there; None is nothing."""

    path: str
    old: Any
    new: Any


def differences(old: Any, new: Any, path: str = "", name: str = "") -> Iterator[Difference]:
    """All places where `old` and `new` differ, as deep as both have something."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            step = path if key == "__embed__" else _joined(path, key, name in MAPS)
            yield from differences(old.get(key), new.get(key), step, key)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(old, new, path, name)
    elif old != new:
        yield Difference(path, old, new)


def _of_lists(old: list[Any], new: list[Any], path: str, name: str) -> Iterator[Difference]:
    keys = _ENTRY_KEYS.get(name, ())
    if keys and all(isinstance(entry, dict) for entry in [*old, *new]):
        before, after = _by_key(old, keys), _by_key(new, keys)
        for step in {**before, **after}:
            yield from differences(before.get(step), after.get(step), path + step)
    elif len(old) != len(new):
        yield Difference(path, old, new)
    else:
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")


def _by_key(entries: list[dict[str, Any]], keys: tuple[str, ...]) -> dict[str, Any]:
    result = {}
    for entry in entries:
        key = next((key for key in keys if entry.get(key)), keys[-1])
        result[f"[{key}={_quoted(str(entry.get(key, '')))}]"] = entry
    return result


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _joined(path: str, key: str, free: bool) -> str:
    if free:
        return f"{path}[{_quoted(key)}]"
    return f"{path}.{key}" if path else key


def at(state: Any, path: str) -> Any:
    """The value at a path; None when there is nothing."""
    for field, index, key, entry_key, entry in _STEP.findall(path):
        if entry_key:
            state = state.get("__embed__") if isinstance(state, dict) else state
            found = state if isinstance(state, list) else []
            wanted = entry.replace("''", "'")
            state = next((item for item in found if item.get(entry_key) == wanted), None)
        elif index:
            inside = isinstance(state, list) and int(index) < len(state)
            state = state[int(index)] if inside else None
        else:
            name = field or key.replace("''", "'")
            state = state.get(name) if isinstance(state, dict) else None
    return state


def put(state: Any, path: str, value: Any) -> None:
    """Set the value at a path of fields and indexes that exists."""
    *way, last = [field or key or int(index) for field, index, key, *_ in _STEP.findall(path)]
    for step in way:
        state = state[step]
    state[last] = value


def pattern(path: str) -> str:
    """The path with `[*]` for each entry of a list."""
    return re.sub(r"\[(\d+|\w+='(?:[^']|'')*')\]", "[*]", path)


def covered(path: str, rule: str) -> bool:
    """Whether a rule for a field covers a path at it or below."""
    given = pattern(path)
    return given == rule or given.startswith((rule + ".", rule + "["))
