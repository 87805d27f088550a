"""`path`: files that resources name exist, and are part of the release."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from delivery.checks.registry import CheckContext, rule
from delivery.config.includes import matching_paths
from delivery.config.yaml import Mark, string_values
from delivery.errors import Finding

RULE = "path"

# Keys whose values are local paths if they start with a dot; then, if they are relative.
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
_SUFFIXES = ("", ".py", ".sql", ".ipynb")  # a path to a notebook has no suffix
_BUILT = ("requirements.txt", "dist/${var.wheel}", "release.yml")


@rule("path", scope="released")
def check_path(context: CheckContext, target: str) -> Iterator[Finding]:
    """Paths in resources that do not exist, or that the release leaves out."""
    root, include = context.root, context.policy.release.include
    resources = context.bundle.tree_for_target(target).section("resources")
    for key, text, mark in string_values(resources):
        named = _named(key, text, mark)
        if named is None or named in _BUILT:
            continue
        if not any(_exists(root, f"{named}{suffix}") for suffix in _SUFFIXES):
            message = f"{key}: given {text}, expected a file"
            hint = f"Add {named}, or name a file that exists, such as ../../src/NAME.py."
            yield Finding(mark.file, mark.line, RULE, message, hint)
        elif not any(_includes(pattern, named) for pattern in include):
            message = f"{key}: given {text}, expected a file that the release includes"
            hint = f"Add {named} to release.include in delivery.yml."
            yield Finding(mark.file, mark.line, RULE, message, hint)


def _named(key: str, text: str, mark: Mark) -> str | None:
    """The file that a value names, relative to the project; None if it names no local file."""
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


def _exists(root: Path, named: str) -> bool:
    """Whether a path exists, or a pattern matches one."""
    return bool(matching_paths(root, named)) if "*" in named else os.path.exists(root / named)


def _includes(pattern: str, named: str) -> bool:
    return named == pattern or (pattern.endswith("/") and f"{named}/".startswith(pattern))
