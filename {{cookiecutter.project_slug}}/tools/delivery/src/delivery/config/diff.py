"""Compares two values; entries of lists are matched by name."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_ENTRY_KEYS = ("task_key", "job_cluster_key", "environment_key", "principal", "name")


class Difference(NamedTuple):
    """One difference between two configurations; None where one of them has no value."""

    path: str
    first: Any
    second: Any


def differences(first: Any, second: Any, path: str = "") -> Iterator[Difference]:
    """Every difference between two values, each at the deepest path that shows it."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in {**first, **second}:
            step = f"{path}{key}" if str(key).startswith("[") else f"{path}.{key}".lstrip(".")
            yield from differences(first.get(key), second.get(key), step)
    elif isinstance(first, list) and isinstance(second, list):
        yield from differences(_by_name(first), _by_name(second), path)
    elif first != second:
        yield Difference(path, first, second)


def _by_name(entries: list[Any]) -> dict[str, Any]:
    """The entries of a list by name, so that an insertion does not shift the others."""
    named: dict[str, Any] = {}
    for index, entry in enumerate(entries):
        keys = [key for key in _ENTRY_KEYS if isinstance(entry, Mapping) and key in entry]
        named[f"[{entry[keys[0]] if keys else index}]"] = entry
    return named
