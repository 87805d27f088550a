"""Matches `include` patterns as the CLI does. It uses Go's rules: `*` matches dot files, too."""

import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

from delivery.config.yaml import YamlMapping, read_yaml
from delivery.errors import Finding, RefusedError
from delivery.refusals import Refusal

RULE = "include"
ROOT_FILES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
ROOT_FILE = ROOT_FILES[0]
_EXTENSIONS = (".yml", ".yaml", ".json")
_MAGIC = re.compile(r"[*?]")

# Python and Go match these differently, such as `[^a]`.
_REFUSED = re.compile(r"[\[\]\\\0]")


def matching_paths(root: Path, pattern: str) -> list[str]:
    """The files and folders that a pattern matches, relative to `root`, in the CLI's order.

    `*` and `?` match within one part of a path, including dot files; `**` equals `*`.
    """
    found = [""]
    for part in PurePosixPath(posixpath.normpath(pattern)).parts:
        found = [name for folder in found for name in _matches(root, folder, part)]
    return sorted(found)


def _matches(root: Path, folder: str, part: str) -> Iterator[str]:
    """The entries of one folder that match one part of a pattern."""
    path = root / folder
    if not _MAGIC.search(part):
        if os.path.lexists(path / part):
            yield posixpath.join(folder, part)
    elif path.is_dir():
        expression = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        for name in os.listdir(path):
            if re.fullmatch(expression, name, re.DOTALL):
                yield posixpath.join(folder, name)


def is_refused(pattern: str) -> bool:
    """Whether the CLI could match a pattern differently, or the pattern leaves the bundle."""
    path = PurePosixPath(pattern)
    return is_ambiguous(pattern) or path.is_absolute() or ".." in path.parts


def is_ambiguous(pattern: str) -> bool:
    """Whether Python and the CLI match a pattern differently."""
    return not pattern or bool(_REFUSED.search(pattern))


def refused_includes(root: Path, files: Iterable[str], tree: YamlMapping) -> Iterator[Finding]:
    """Patterns and files that the CLI or a reviewer could misread."""
    for pattern in map(str, tree.items_of("include")):
        if is_refused(pattern):
            ambiguous = is_ambiguous(pattern)
            message = "is ambiguous to the CLI" if ambiguous else "leaves the release"
            hint = "Keep files in the project; the wildcards are * and ?, as in resources/*/*.yml"
            yield Finding(*tree.marks["include"], RULE, f"include {pattern} {message}", hint)
    for name in ROOT_FILES[1:]:
        if os.path.lexists(root / name):
            message = f"given {name} beside {ROOT_FILES[0]}, expected one root file"
            yield Finding(name, 0, RULE, message, f"Move its content to {ROOT_FILES[0]}.")
    for path in map(PurePosixPath, files):
        if path.suffix not in _EXTENSIONS:
            message = "included, expected a file that ends with .yml, .yaml or .json"
            yield Finding(str(path), 0, RULE, message, "Rename it, or narrow the pattern.")
        if any(part.startswith(".") for part in path.parts):
            message = "included, expected a visible file: reviewers overlook hidden ones"
            yield Finding(str(path), 0, RULE, message, "Rename it without the dot.")


def add_include(folder: Path, document: Mapping[str, Any]) -> Path:
    """Add a file to an extracted release, under a name that `databricks.yml` includes.

    The file is not deployed: it excludes itself from `sync`, whose paths are relative to it.

    Raises:
        RefusedError: the release includes files only by their full names.
    """
    patterns = [str(p) for p in read_yaml(folder, ROOT_FILE).items_of("include")]
    name = included_name(folder, patterns)
    if name is None:
        raise RefusedError(
            Refusal.NO_INCLUDE,
            f"include of databricks.yml: given {', '.join(patterns) or 'nothing'}, expected a "
            "pattern that can match an additional file, such as release*.yml\n    Without such a "
            "pattern a rollback cannot retain resources. Deploy a newer release that has one.",
        )
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {**document, "sync": {"exclude": [file.name]}}
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return file


def included_name(folder: Path, patterns: Sequence[str]) -> str | None:
    """The name of a new file that one of the include patterns matches; None if none does."""
    for number, pattern in product(("", "-2"), reversed(patterns)):
        *parts, last = pattern.replace("**", "*").split("/")
        file = last.replace("*", f"-retained{number}", 1).replace("*", "").removeprefix("-")
        name = "/".join([*(part.replace("*", "_retained") for part in parts), file])
        is_plain = "*" in last and not {*name} & {*"*?[]\\"}
        if is_plain and name.endswith(_EXTENSIONS) and not (folder / name).exists():
            return name
    return None
