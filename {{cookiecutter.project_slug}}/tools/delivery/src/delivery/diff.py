"""What differs between two configurations, rendered, offline."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from delivery.bundle import load, resolve
from delivery.errors import DeliveryError

_ENTRY_KEYS = ("task_key", "job_cluster_key", "environment_key", "principal", "name")


class Difference(NamedTuple):
    """One place where two configurations differ; None where one has nothing."""

    path: str
    first: Any
    second: Any


def diff(root: Path, first: str, second: str) -> list[Difference]:
    """The differences between two targets of the project.

    Raises:
        DeliveryError: there is no such target.
    """
    bundle = load(root)
    for name in (first, second):
        if name not in bundle.targets:
            known = ", ".join(bundle.targets)
            raise DeliveryError(f"target: given {name!r}, expected one of {known}")
    variables = {"release": "RELEASE", "wheel": "WHEEL"}
    one, other = (resolve(bundle, name, variables).tree for name in (first, second))
    return list(differences(one, other))


def differences(first: Any, second: Any, path: str = "") -> Iterator[Difference]:
    """All places where two values differ, deepest first told."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in {**first, **second}:
            step = f"{path}{key}" if str(key).startswith("[") else f"{path}.{key}".lstrip(".")
            yield from differences(first.get(key), second.get(key), step)
    elif isinstance(first, list) and isinstance(second, list):
        yield from differences(_by_name(first), _by_name(second), path)
    elif first != second:
        yield Difference(path, first, second)


def _by_name(entries: list[Any]) -> dict[str, Any]:
    """A list's entries by what names them, so that an insertion shifts nothing."""
    named: dict[str, Any] = {}
    for index, entry in enumerate(entries):
        keys = [key for key in _ENTRY_KEYS if isinstance(entry, Mapping) and key in entry]
        named[f"[{entry[keys[0]] if keys else index}]"] = entry
    return named
