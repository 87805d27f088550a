"""Which files `include` reaches, by Go's rules: read here without the tool's own loader.

The tool must notice what only the CLI reads; with the tool's loader in both there were no such
thing.
"""

import os
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

from fake_cli.errors import CommandError

_ROOT_FILES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")


def included(root: Path, patterns: Iterable[str]) -> list[str]:
    """The files, each once, in the order in which they are read.

    Raises:
        CommandError: a file is missing, or is neither YAML nor JSON.
    """
    if sum((root / name).exists() for name in _ROOT_FILES) > 1:
        raise CommandError(f"multiple bundle root configuration files found in {root}")
    files: dict[str, None] = {}
    for pattern in patterns:
        if posixpath.isabs(pattern):
            raise CommandError(f"{pattern}: includes must be relative paths")
        found = _glob(root, posixpath.normpath(pattern).split("/"))
        if not found and not set("*?[") & set(pattern):
            raise CommandError(f"{pattern} defined in 'include' section does not match any files")
        files |= dict.fromkeys(name for name in sorted(found) if name not in _ROOT_FILES)
    for name in files:
        if posixpath.splitext(name)[1] not in (".yml", ".yaml", ".json"):
            raise CommandError(
                "Files in the 'include' configuration section must be YAML or JSON files."
            )
    return list(files)


def _glob(root: Path, parts: list[str]) -> list[str]:
    """Paths below `root`, a part at a time; `*` takes dot files, `[^a]` is not `a`."""
    found = [""]
    for part in parts:
        expression = re.compile(_expression(part), re.DOTALL)
        found = [
            posixpath.join(folder, name)
            for folder in found
            for name in ([".."] if part == ".." else _names(root / folder))
            if expression.fullmatch(name)
        ]
    return found


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


def _expression(part: str) -> str:
    """Go's pattern as an expression of Python."""
    tokens = re.findall(r"\\\\.|\[\^?\]?[^\]]*\]|.", part)
    known = {"*": ".*", "?": "."}
    return "".join(
        known.get(token) or (token if token[0] == "[" and len(token) > 1 else _literal(token))
        for token in tokens
    )


def _literal(token: str) -> str:
    return re.escape(token[1:] if len(token) > 1 else token)
