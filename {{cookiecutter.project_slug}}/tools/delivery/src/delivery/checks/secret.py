"""`secret`: no literal secrets in YAML. Everyone who can read the repository could use them."""

from collections.abc import Iterator
from typing import Any

from delivery.checks.registry import CheckContext, rule
from delivery.config.yaml import Mark, YamlList, YamlMapping
from delivery.errors import Finding
from delivery.redaction import is_secret, name_of

RULE = "secret"
_HINT = "Use a secret scope, as in {{secrets/scope/key}}, and rotate this secret."


@rule("secret")
def check_secret(context: CheckContext) -> Iterator[Finding]:
    """Values that look like secrets, or whose keys suggest a secret."""
    for key, value, mark in _leaves(context.bundle.tree):
        if is_secret(key, value):
            message = f"{key}: given a literal secret, expected a reference"
            yield Finding(mark.file, mark.line, RULE, message, _HINT)


def _leaves(section: YamlMapping, parent: str = "") -> Iterator[tuple[str, str, Mark]]:
    for key, value in section.items():
        yield from _below(name_of(key, section, parent), value, section.marks[key])


def _below(key: str, value: Any, mark: Mark) -> Iterator[tuple[str, str, Mark]]:
    if isinstance(value, YamlMapping):
        yield from _leaves(value, key)
    elif isinstance(value, YamlList):
        for entry, entry_mark in zip(value, value.marks, strict=True):
            yield from _below(key, entry, entry_mark)
    elif isinstance(value, str) and value:
        yield key, value, mark
