"""`secret`: no literal secrets in YAML. Everyone who can read the repository could use them."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from delivery import git
from delivery.checks.registry import CheckContext, rule
from delivery.config.yaml import Mark, YamlList, YamlMapping
from delivery.errors import Finding
from delivery.redaction import TOKEN, is_secret, name_of

RULE = "secret"
_PREFIXED = "(dapi|dose|dkea|dsapi)[0-9a-f]{32}"  # what git understands everywhere
_ALLOWED = "pragma: allowlist secret"  # as for detect-secrets
_REVOKE = "Read it from the environment instead, and revoke this one in the workspace."
_HINT = "Use a secret scope, as in {{secrets/scope/key}}, and rotate this secret."


@rule("secret")
def check_secret(context: CheckContext) -> Iterator[Finding]:
    """Values that look like secrets, or whose keys suggest one; tokens in any text file."""
    for key, value, mark in _leaves(context.bundle.tree):
        if is_secret(key, value):
            message = f"{key}: given a literal secret, expected a reference"
            yield Finding(mark.file, mark.line, RULE, message, _HINT)
    yield from _tokens(context.root, set(context.bundle.files))


def _tokens(root: Path, others: Collection[str]) -> Iterator[Finding]:
    """Tokens of Databricks in files that git tracks or would track, except in `others`."""
    options = ("-nIE", "--untracked", "--full-name", "--null")
    listed = git.output_or_none(root, "grep", *options, _PREFIXED)
    for line in (listed or "").splitlines():
        file, _, rest = line.partition("\0")
        number, _, text = rest.partition("\0" if "\0" in rest else ":")
        if file not in others and _ALLOWED not in text and TOKEN.search(text):
            message = "given a token of Databricks, expected none in a file of the repository"
            yield Finding(file, int(number), RULE, message, _REVOKE)


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
