"""Find secret values, so that output can show a placeholder in their place."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(hidden)"  # the placeholder for a secret

TOKEN = re.compile(r"\b(?:dapi|dose|dkea|dsapi)[0-9a-f]{32}\b")  # Databricks' own prefixes
_KEY = re.compile(
    r"(?:^|[\W_])(?:password|passwd|secret|token|api[\W_]?key|access[\W_]?key|account\.key\..*"
    r"|authorization)$",
    re.IGNORECASE,
)
# A reference of the bundle, to a secret, or to a value of the running job.
_REFERENCE = re.compile(
    r"(?:(?:Bearer|Basic)\s+)?"
    r"(?:\$\{[^}]+\}|\{\{\s*(?:secrets/|jobs?\.|tasks?\.|workspace\.|input\b)[^}]*\}\})"
)
_NAMES, _VALUES = ("name", "key"), ("default", "value")
_OPTION = re.compile(r"-{0,2}([\w.-]+)=(\S+)")  # such as --token=x


def is_secret(key: str, value: str) -> bool:
    """Whether a value looks like a secret, or its key names one."""
    option = _OPTION.fullmatch(value)
    if option and _KEY.search(option[1]):
        return not _REFERENCE.fullmatch(option[2])
    return bool(TOKEN.search(value) or (_KEY.search(key) and not _REFERENCE.fullmatch(value)))


def name_of(key: str, entry: Mapping[str, Any], parent: str = "") -> str:
    """The name of the value at `key`.

    A `default` or `value` takes its name from the `name` or `key` beside it, else from `parent`.
    """
    names = [entry[name] for name in _NAMES if isinstance(entry.get(name), str)]
    return [*names, parent or key][0] if key in _VALUES else key
