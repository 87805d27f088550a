"""What differs between two configurations, rendered, offline."""

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from delivery.bundle import Bundle, Section, load, resolve
from delivery.errors import DeliveryError
from delivery.policy import Policy, load_policy
from delivery.release import Archive, open_archive

# What differs between any two releases, and says nothing more than that.
_NAMES_ITSELF = re.compile(
    r"^[^.]+\.(bundle\.git|variables\.(release|wheel))\b|^files\[(release\.yml|dist/.*)\]$"
)
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
    return list(differences(_rendered(bundle, first), _rendered(bundle, second)))


def diff_releases(first: Archive, second: Archive) -> list[Difference]:
    """The differences between two releases: their configuration on each target, and their files.

    What names a release itself, such as its commit and its wheel, is left out.
    """
    trees: list[dict[str, Section]] = []
    policy: Policy | None = None
    with tempfile.TemporaryDirectory() as name:
        for number, archive in enumerate((first, second)):
            folder = Path(name, str(number))
            open_archive(archive.content, folder, archive.name)
            bundle, policy = load(folder), policy or load_policy(folder)
            known = [target for target in policy.released if target in bundle.targets]
            trees.append({target: _rendered(bundle, target) for target in known})
    files = [
        {name: entry.sha256[:12] for name, entry in archive.manifest.files.items()}
        for archive in (first, second)
    ]
    one, other = ({**tree, "files": _by_path(f)} for tree, f in zip(trees, files, strict=True))
    found = differences(one, other)
    return [one for one in found if not _NAMES_ITSELF.search(one.path)]


def _rendered(bundle: Bundle, target: str) -> Section:
    return resolve(bundle, target, {"release": "RELEASE", "wheel": "WHEEL"}).tree


def _by_path(files: Mapping[str, str]) -> dict[str, str]:
    return {f"[{name}]": digest for name, digest in files.items()}


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
