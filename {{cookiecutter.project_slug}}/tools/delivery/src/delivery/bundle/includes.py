"""What `include` reaches, by the rules of the CLI: Go's, in which `*` matches dot files, too."""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from delivery.bundle.document import Section
from delivery.errors import Finding

RULE = "include"
ROOT_FILES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
_SUFFIXES = (".yml", ".yaml", ".json")
_MAGIC = re.compile(r"[*?]")

# Python and Go disagree about these, such as `[^a]`.
_REFUSED = re.compile(r"[\[\]\\\0]")


def reached(root: Path, pattern: str) -> list[str]:
    """The files and folders that a pattern matches, relative to `root`, in the CLI's order.

    `*` and `?` match within one part of a path, dot files too; `**` is the same as `*`.
    """
    found = [""]
    for part in PurePosixPath(posixpath.normpath(pattern)).parts:
        found = [name for folder in found for name in _inside(root, folder, part)]
    return sorted(found)


def _inside(root: Path, folder: str, part: str) -> Iterator[str]:
    """What in one folder is called so, as paths relative to `root`."""
    place = root / folder
    if not _MAGIC.search(part):
        if os.path.lexists(place / part):
            yield posixpath.join(folder, part)
    elif place.is_dir():
        expression = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        for name in os.listdir(place):
            if re.fullmatch(expression, name, re.DOTALL):
                yield posixpath.join(folder, name)


def is_refused(pattern: str) -> bool:
    """Whether two readers could take a pattern for two things, or it leaves the bundle."""
    path = PurePosixPath(pattern)
    odd = not pattern or _REFUSED.search(pattern)
    return bool(odd) or path.is_absolute() or ".." in path.parts


def refused_includes(root: Path, files: Iterable[str], tree: Section) -> Iterator[Finding]:
    """Patterns and files that the CLI, or a reviewer, could take for something else."""
    for pattern in map(str, tree.items_of("include")):
        if is_refused(pattern):
            odd = _REFUSED.search(pattern) or not pattern
            message = "is read otherwise by the CLI" if odd else "reaches out of the release"
            mend = "Keep the file inside of the project, and write * and ? alone: resources/*/*.yml"
            yield Finding(*tree.marks["include"], RULE, f"include {pattern} {message}", mend)
    for name in ROOT_FILES[1:]:
        if os.path.lexists(root / name):
            message = f"given {name} beside {ROOT_FILES[0]}, expected one root file"
            yield Finding(name, 0, RULE, message, f"Move its content to {ROOT_FILES[0]}.")
    for path in map(PurePosixPath, files):
        if path.suffix not in _SUFFIXES:
            message = "included, expected a file that ends with .yml, .yaml or .json"
            yield Finding(str(path), 0, RULE, message, "Rename it, or narrow the pattern.")
        if any(part.startswith(".") for part in path.parts):
            message = "a hidden file that include reaches, and that people overlook"
            yield Finding(str(path), 0, RULE, message, "Rename it without the dot.")
