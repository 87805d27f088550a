"""Files that resources name: they exist, and they travel with the release."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from delivery.bundle import Mark, Section
from delivery.bundle.includes import reached
from delivery.errors import Finding

RULE = "path"

# Local when they begin with a dot; and, in the second line, whenever they are no absolute path.
_KEYS = ("path", "whl", "jar", "file", "job_file", "requirements", "include", "root_path")
_ALWAYS = (
    "code_source_path",
    "command_path",
    "dependencies",
    "file_path",
    "main_python_file",
    "notebook_path",
    "project_directory",
    "python_file",
    "source_code_path",
)
_OPTION = re.compile(r"-[re] +")  # of pip, before a path
_PACKAGE = re.compile(r"[\w.-]+(\[.*\])?( *([=!<>~@]|===).*)?")
_FILES = "${workspace.file_path}/"
_SUFFIXES = ("", ".py", ".sql", ".ipynb")  # a notebook is named without
_BUILT = ("requirements.txt", "dist/${var.wheel}", "release.yml")


def check_paths(root: Path, tree: Section, include: Sequence[str]) -> Iterator[Finding]:
    """Every path of a resource that is not there, or that no release has.

    Args:
        tree: the configuration, references not resolved.
    """
    resources = tree.section("resources")
    for key, text, mark in _texts(resources, "", Mark("databricks.yml", 0)):
        named = _named(key, text, mark)
        if named is None or named in _BUILT:
            continue
        if not any(_is_there(root, f"{named}{suffix}") for suffix in _SUFFIXES):
            message = f"{key}: given {text}, expected a file"
            mend = f"Add {named}, or name a file that is there, such as ../../src/NAME.py."
            yield Finding(mark.file, mark.line, RULE, message, mend)
        elif not any(_reaches(pattern, named) for pattern in include):
            message = f"{key}: given {text}, expected a file that the release includes"
            mend = f"Add {named} to release.include in delivery.yml."
            yield Finding(mark.file, mark.line, RULE, message, mend)


def _named(key: str, text: str, mark: Mark) -> str | None:
    """The file that a value names, relative to the project; None when it names none."""
    if _FILES in text:
        return text.partition(_FILES)[2].strip()
    text, option = _OPTION.sub("", text, count=1).strip(), _OPTION.match(text)
    local = text.startswith(".") if key in _KEYS else key in _ALWAYS
    if key == "dependencies" and not option and not text.startswith("."):
        local = text.endswith(".whl") and not _PACKAGE.fullmatch(text.removesuffix(".whl"))
    if not local or "${" in text or text.startswith("/") or ":" in text:
        return None
    parts: list[str] = []
    for step in (*PurePosixPath(mark.file).parent.parts, *PurePosixPath(text).parts):
        inside = step == ".." and parts and parts[-1] != ".."
        parts = parts[:-1] if inside else [*parts, step]
    return "/".join(parts)


def _is_there(root: Path, named: str) -> bool:
    """Whether it is a file or folder, or a pattern that finds one."""
    return bool(reached(root, named)) if "*" in named else os.path.exists(root / named)


def _reaches(pattern: str, named: str) -> bool:
    return named == pattern or (pattern.endswith("/") and f"{named}/".startswith(pattern))


def _texts(value: Any, key: str, mark: Mark) -> Iterator[tuple[str, str, Mark]]:
    if isinstance(value, Section):
        for name, entry in value.items():
            yield from _texts(entry, name, value.marks[name])
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry, key, mark)
    elif isinstance(value, str):
        yield key, value, mark
