"""`path`: files that resources name exist, are of the right sort, and are part of the release."""

import json
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from delivery.checks.artifact import files_of
from delivery.checks.registry import CheckContext, rule
from delivery.config.bundle import resources_of
from delivery.config.includes import ROOT_FILE, matching_paths
from delivery.config.references import partly_resolved, value_of
from delivery.config.scalars import as_text
from delivery.config.yaml import Mark, YamlList, YamlMapping
from delivery.errors import Finding

RULE = "path"
Sort = Literal["notebook", "file", "folder", "any"]

# What a field names: by its name, or by its name and that of the mapping that it stands in.
_SORTS: dict[str, Sort] = {
    "code_source_path": "any",
    "command_path": "file",
    "dependencies": "any",
    "egg": "any",
    "file_path": "any",
    "glob.include": "any",
    "jar": "any",
    "file.path": "file",
    "main_python_file": "any",
    "notebook.path": "notebook",
    "notebook_path": "notebook",
    "project_directory": "folder",
    "python_file": "file",
    "requirements": "file",
    "root_path": "folder",
    "source_code_path": "folder",
    "whl": "any",
}
# Fields with these names are local paths if they start with a dot.
_DOTTED = ("path", "file", "job_file", "include")
_DOCUMENTS = (".lvdash.json", ".dbalert.json", ".geniespace.json", ".ipynb")
_OPTION = re.compile(r"-[re] +")  # of pip, before a path
# What is not known yet; `${HOME}`, without a dot, is no reference, and is taken as it is.
_OPEN = re.compile(r"\$\{[^}]*[.{]|<|\{\{")
_QUOTES = "\"'"
_PACKAGE = re.compile(r"[\w.-]+(\[.*\])?( *([=!<>~@]|===).*)?")
_FILES = "${workspace.file_path}/"
_NOTEBOOKS = {
    ".py": "# Databricks notebook source",
    ".r": "# Databricks notebook source",
    ".scala": "// Databricks notebook source",
    ".sql": "-- Databricks notebook source",
    ".ipynb": "",
}
_BUILT = ("requirements.txt", "release.yml")  # and the wheel, by the release itself
_EXTRAS = re.compile(r"\[[\w, -]*\]$")  # of a wheel, such as `x.whl[train]`


class _Named(NamedTuple):
    """A local path that a field names, relative to the project."""

    key: str
    text: str
    path: str
    sort: Sort
    mark: Mark


@rule(RULE, scope="released")
def check_path(context: CheckContext, target: str) -> Iterator[Finding]:
    """Paths in resources that do not exist, are of another sort, or that the release leaves out."""
    root, include = context.root, context.policy.release.include
    tree = YamlMapping()
    tree.put("resources", partly_resolved(context.bundle, target, "workspace"), Mark(ROOT_FILE, 0))
    wheel = value_of(context.bundle, target, "wheel") or "<var.wheel>"
    artifacts = context.bundle.tree.section("artifacts")
    builds = bool(artifacts) or (root / "setup.py").exists()
    built = {*_BUILT, f"dist/{wheel}", *(source.path for source in files_of(artifacts))}
    told: set[tuple[str, str]] = set()  # what is wrong with a file itself is told once
    for _, _, resource, _ in resources_of(tree):
        for named in _paths(resource, in_git="git_source" in resource):
            if named.path in built or (builds and named.path.endswith((".whl", ".jar"))):
                continue
            if problem := _problem(root, named):
                expected, hint = problem
                if (named.path, expected) not in told or not (root / named.path).is_file():
                    yield _finding(named, expected, hint)
                told.add((named.path, expected))
            elif named.path and not _is_included(root, include, named.path):
                hint = f"Add {named.path} to release.include in delivery.yml."
                yield _finding(named, "a file that the release includes", hint)


def _finding(named: _Named, expected: str, hint: str) -> Finding:
    message = f"{named.key}: given {named.text}, expected {expected}"
    return Finding(named.mark.file, named.mark.line, RULE, message, hint)


def _paths(value: Any, parent: str = "", key: str = "", *, in_git: bool) -> Iterator[_Named]:
    """Every local path below a value. The tasks of a job with a git source name paths in there."""
    if isinstance(value, YamlMapping):
        for name, entry in value.items():
            if in_git and name == "tasks":
                continue
            if isinstance(entry, YamlMapping | YamlList):
                yield from _paths(entry, key or parent, name, in_git=in_git)
            else:
                yield from _path(key, name, entry, value.marks[name])
    elif isinstance(value, YamlList):
        for entry, mark in zip(value, value.marks, strict=True):
            if isinstance(entry, YamlMapping | YamlList):
                yield from _paths(entry, parent, key, in_git=in_git)
            else:
                yield from _path(parent, key, entry, mark)


def _path(parent: str, key: str, value: Any, mark: Mark) -> Iterator[_Named]:
    sort = _SORTS.get(f"{parent}.{key}") or _SORTS.get(key)
    if value is None or value == "":
        return
    text = as_text(value)
    option = _OPTION.match(text)
    path = _local(key, text, mark, sort, option is not None)
    if path is None:
        return
    path = _EXTRAS.sub("", path) if ".whl[" in path else path
    known = not _OPEN.search(path.partition("*")[0])
    if known or path.startswith("dist/"):
        is_file = option is not None or sort == "file"
        yield _Named(key, text, path, "file" if is_file else sort or "any", mark)


def _local(key: str, text: str, mark: Mark, sort: Sort | None, option: bool) -> str | None:
    """The path relative to the project; None if the text names no local file."""
    if _FILES in text:
        return text.partition(_FILES)[2].strip().strip(_QUOTES)
    text = _OPTION.sub("", text, count=1).strip().strip(_QUOTES)
    local = sort is not None or (key in _DOTTED and text.startswith("."))
    if key == "dependencies" and not option and not text.startswith("."):
        local = text.endswith(".whl") and not _PACKAGE.fullmatch(text.removesuffix(".whl"))
    if not local or _OPEN.search(text) or text.startswith("/") or ":" in text:
        return None
    parts: list[str] = []
    for step in (*PurePosixPath(mark.file).parent.parts, *PurePosixPath(text).parts):
        inside = step == ".." and parts and parts[-1] != ".."
        parts = parts[:-1] if inside else [*parts, step]
    return "/".join(parts)


def _problem(root: Path, named: _Named) -> tuple[str, str] | None:
    """What is expected instead of a path, and a hint; None if it is right."""
    path = root / named.path
    if "*" in named.path:
        # Of a pipeline's pattern the CLI only reads the folder in front; others match when it runs.
        start = named.path.partition("*")[0].rpartition("/")[0]
        if named.key == "include" and (root / start).is_dir():
            return None
        found = matching_paths(root, named.path)
        if not found:
            return "a file", f"Add {named.path}."
        each = (named._replace(path=path) for path in found if named.sort != "folder")
        return next((problem for one in each if (problem := _problem(root, one))), None)
    if named.sort == "notebook":
        return _notebook_problem(root, named)
    if not os.path.exists(path):
        return ("a folder" if named.sort == "folder" else "a file"), _add(named)
    if named.sort == "folder" and not path.is_dir():
        return "a folder", f"Name the folder of {named.path}."
    if named.sort == "file" and not path.is_file():
        return "a file", f"Name a file of {named.path}."
    if broken := _broken_document(path, named):
        return broken
    if named.sort == "file" and is_notebook(path):
        header = _NOTEBOOKS[path.suffix.lower()]
        hint = f"Remove its first line, {header}, or" if header else "Convert it to .py, or"
        return "a file, not a notebook", f"{hint} run it as a notebook_task."
    return None


def _notebook_problem(root: Path, named: _Named) -> tuple[str, str] | None:
    path = root / named.path
    beside = [suffix for suffix in _NOTEBOOKS if Path(f"{path}{suffix}").is_file()]
    if _FILES in named.text:  # in the workspace a notebook has no suffix
        exists = path.exists() or bool(beside)
        return None if exists else ("a file", f"Add {named.path}.py.")
    if not os.path.exists(path):
        if beside:
            return f"{named.text}{beside[0]}", f"Write the suffix: {named.text}{beside[0]}"
        return "a file", _add(named)
    if not path.is_file():
        return "a notebook, not a folder", f"Name a file of {named.path}."
    if broken := _broken_document(path, named):
        return broken
    if not is_notebook(path):
        header = _NOTEBOOKS.get(path.suffix.lower())
        if header is None:
            return "a notebook", f"The suffixes of notebooks are {', '.join(_NOTEBOOKS)}."
        hint = f"Write as its first line: {header or 'a JSON document'}"
        return "a notebook, which this file is not", hint
    return None


def _add(named: _Named) -> str:
    return f"Add {named.path}, or name a file that exists, such as ../../src/NAME.py."


def _broken_document(path: Path, named: _Named) -> tuple[str, str] | None:
    """A dashboard, an alert or a notebook that is not JSON."""
    if not (path.name.lower().endswith(_DOCUMENTS) and path.is_file()):
        return None
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        return "a JSON document", f"Line {error.lineno} of {named.path} is not valid."
    except UnicodeDecodeError:
        return "a JSON document", f"{named.path} is not UTF-8 text."
    return None


def is_notebook(path: Path) -> bool:
    """Whether the CLI takes a file for a notebook: by its suffix and its first line."""
    header = _NOTEBOOKS.get(path.suffix.lower())
    if header is None:
        return False
    with path.open("rb") as file:
        start = file.read(32)
    return not header or start.splitlines()[:1] == [header.encode()]


def _is_included(root: Path, include: Collection[str], named: str) -> bool:
    """Whether the release has a path, or each that a pattern in its first part matches."""
    paths = matching_paths(root, named) if "*" in named.partition("/")[0] else [named]
    return all(any(_includes(pattern, path) for pattern in include) for path in paths)


def _includes(pattern: str, named: str) -> bool:
    return named == pattern or (pattern.endswith("/") and f"{named}/".startswith(pattern))
