"""Secrets do not belong in YAML: whoever can read the repository has them for good."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from delivery.bundle import Items, Mark, Section
from delivery.errors import Finding

RULE = "secret"

_MEND = "Name a secret scope instead, as {{secrets/scope/key}}, and replace what was written here."
_TOKEN = re.compile(r"\b(?:dapi|dose|dkea|dsapi)[0-9a-f]{32}\b")  # Databricks' own prefixes
_KEY = re.compile(
    r"(?:^|[\W_])(?:password|passwd|secret|token|api[\W_]?key|access[\W_]?key|account\.key\..*"
    r"|authorization)$",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"(?:(?:Bearer|Basic)\s+)?(?:\$\{[^}]+\}|\{\{\s*secrets/[^}]+\}\})")
_OPTION = re.compile(r"-{0,2}([\w.-]+)=(\S+)")  # such as --token=x
_NAMES, _VALUES = ("name", "key"), ("default", "value")


def check_secrets(section: Section) -> Iterator[Finding]:
    """Every value that is a secret by its look, or by the name of its key."""
    for key, value, mark in _leaves(section):
        if is_secret(key, value):
            message = f"{key}: given a literal secret, expected a reference"
            yield Finding(mark.file, mark.line, RULE, message, _MEND)


def is_secret(key: str, value: str) -> bool:
    """Whether a value is a secret by its look, or by the name of its key."""
    option = _OPTION.fullmatch(value)
    if option and _KEY.search(option[1]):
        return not _REFERENCE.fullmatch(option[2])
    return bool(_TOKEN.search(value) or (_KEY.search(key) and not _REFERENCE.fullmatch(value)))


def name_of(key: str, entry: Mapping[str, Any], parent: str = "") -> str:
    """What the value of `key` is called: a `default` by the name beside it, or what it is below."""
    names = [entry[name] for name in _NAMES if isinstance(entry.get(name), str)]
    return [*names, parent or key][0] if key in _VALUES else key


def _leaves(section: Section, parent: str = "") -> Iterator[tuple[str, str, Mark]]:
    for key, value in section.items():
        yield from _below(name_of(key, section, parent), value, section.marks[key])


def _below(key: str, value: Any, mark: Mark) -> Iterator[tuple[str, str, Mark]]:
    if isinstance(value, Section):
        yield from _leaves(value, key)
    elif isinstance(value, Items):
        for entry, place in zip(value, value.marks, strict=True):
            yield from _below(key, entry, place)
    elif isinstance(value, str) and value:
        yield key, value, mark
