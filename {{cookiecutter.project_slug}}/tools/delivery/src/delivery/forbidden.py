"""What nothing that is delivered may contain: it would run, or send credentials, when opened."""

import os
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from delivery.bundle import Bundle, Mark, Section, load, resolve
from delivery.bundle.includes import refused_includes
from delivery.bundle_cli import BundleCli
from delivery.errors import DeliveryError, Exit, Finding
from delivery.one_view import ANCHORS, differences

RULE = "forbidden"

# What a delivered bundle may say; each key that is not here is refused, whatever the CLI does with
# it. Scripts, builds and engines run programs during a plan, with the token at hand; a lock that is
# off lets two deploys in. docs/design-decisions.md of the template lists what each would do.
_ALLOWED: Mapping[str, Collection[str]] = {
    "": (
        "bundle",
        "git",  # of a target, which the CLI puts below `bundle`
        "include",
        "permissions",
        "presets",
        "resources",
        "run_as",
        "sync",
        "targets",
        "variables",
        "workspace",
    ),
    "bundle": ("databricks_cli_version", "environment", "git", "mode", "name", "target", "uuid"),
    "presets": (
        "jobs_max_concurrent_runs",
        "name_prefix",
        "pipelines_development",
        "tags",
        "trigger_pause_status",
    ),
    "sync": ("exclude", "include"),
    "workspace": (
        "artifact_path",
        "file_path",
        "host",
        "resource_path",
        "root_path",
        "state_path",
    ),
}
_LOCAL = ("code_source_path", "file_path")  # the CLI opens these on this machine, absolute or not
_OPENED = (*_LOCAL, "dependencies", "jar", "whl")  # and these, where they are not absolute
# What is no text yet; but the names of a release and of its wheel, which are never a way up.
_UNKNOWN = re.compile(r"<(?!var\.(?:release|wheel)>)[a-z]+\.|\$\{")
_OWN_JOB = re.compile(r"\$\{resources\.jobs\.([\w-]+)\.id\}")
_OPTION = re.compile(r"^-[re] +")  # of pip, before a path


def forbidden(bundle: Bundle, target: str) -> Iterator[Finding]:
    """Everything in a target that is refused, with its place; nobody but us is asked."""
    yield from refused_includes(bundle.root, bundle.files[1:], bundle.tree)
    yield from _beside(bundle.root)
    tree = bundle.with_target(target)
    for path in _found(tree):
        section, key = _place(tree, path)
        yield _finding(section.marks.get(key), ".".join(path), target)
    for mark, message, mend in _reaching(tree, resolve(bundle, target).tree):
        yield Finding(mark.file, mark.line, RULE, f"{message} is refused for {target}", mend)


def refuse_forbidden(folder: Path, target: str, ask_cli: bool = True) -> None:
    """Refuse a bundle before anything of it can run, and before any credential is near it.

    Both readers are asked: what the CLI reads is what is judged here, or nothing starts.

    Args:
        ask_cli: False where there is none: nothing can run there, but what is ours can be judged.

    Raises:
        DeliveryError: it has what a delivered target must not have, or the two disagree.
    """
    bundle = load(folder)
    found = list(map(str, forbidden(bundle, target)))
    if not found and ask_cli:
        merged = BundleCli(folder, target).merged()
        found = [f"{'.'.join(path)}, as the CLI reads it" for path in _found(merged)]
        found = found or list(map(str, differences(bundle, target, merged)))
    if found:
        raise DeliveryError(f"refused for {target}:\n" + "\n".join(found), Exit.REFUSED)


def _found(tree: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The keys of a merged tree that are not allowed; what is empty does nothing."""
    for name, allowed in _ALLOWED.items():
        section = _below(tree, name) if name else tree
        for key, value in section.items():
            anchors = not name and key.startswith(ANCHORS)
            unset = value in (None, {}, []) or (name, key, value) == ("sync", "paths", ["."])
            if key not in allowed and not anchors and not unset:
                yield (name, key) if name else (key,)
    if _below(tree, "resources").get("secrets"):
        yield ("resources", "secrets")
    for name, variable in _below(tree, "variables").items():
        if isinstance(variable, Mapping) and variable.get("value") is not None:
            yield ("variables", name, "value")  # the CLI's own: it wins over what a target says
    if "${" in str(_below(tree, "workspace").get("host", "")):
        yield ("workspace", "host")  # the CLI takes it as it stands


def _beside(root: Path) -> Iterator[Finding]:
    """Files that the CLI finds by itself: it builds a wheel of whatever `setup.py` says."""
    if os.path.lexists(root / "setup.py"):
        message = "setup.py is refused: the CLI runs it, with the identity of the deploy"
        yield Finding(
            "setup.py", 0, RULE, message, "Say it in pyproject.toml, or move it below src/."
        )


def _reaching(tree: Section, resolved: Section) -> Iterator[tuple[Mark, str, str]]:
    """Paths that leave the release, and code that comes from elsewhere."""
    jobs = tree.section("resources").section("jobs")
    for key in jobs:
        if jobs.section(key).get("git_source"):
            mark = jobs.section(key).marks["git_source"]
            yield mark, f"jobs.{key}.git_source", "Put the code below src/: releases carry it."
    yield from _runs_of_others(tree.section("resources"))
    raw = {id(mark): text for _, text, mark in _texts(tree.get("resources"))}
    for key, text, mark in _texts(resolved.get("resources")):
        if _leaves(key, text, mark, "${" in raw.get(id(mark), "")):
            yield mark, f"{key}: {text}", "Name a file of the project, such as ../../src/NAME.py."


def _runs_of_others(resources: Section) -> Iterator[tuple[Mark, str, str]]:
    """Runs that begin with the deploy, of jobs that are none of the bundle's own."""
    runs, jobs = resources.section("job_runs"), resources.section("jobs")
    for key in runs:
        told = str(runs.section(key).get("job_id"))
        own = _OWN_JOB.fullmatch(told)
        if not own or own[1] not in jobs:
            example = f"${{resources.jobs.{next(iter(jobs), 'NAME')}.id}}"
            mend = f"Name a job of the bundle, as in job_id: {example}"
            yield runs.marks[key], f"job_runs.{key}: job_id {told}", mend


def _leaves(key: str, text: str, mark: Mark, made: bool) -> bool:
    """Whether a value is a path out of the release; where references are in it, any step up is."""
    path = _OPTION.sub("", text).strip("\"' ").replace("\\", "/")
    if key in _LOCAL and (path.startswith("/") or ":" in path):
        return True
    if key in _OPENED and made and not path.startswith("/") and _UNKNOWN.search(path):
        return True
    if ".." not in path.split("/"):
        return False
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(mark.file), path))
    return made or path.startswith("/") or inside.startswith("..")


def _texts(value: Any, key: str = "", mark: Mark | None = None) -> Iterator[tuple[str, str, Mark]]:
    """Every text with the key that it stands below, and its place."""
    if isinstance(value, Section):
        for name, entry in value.items():
            yield from _texts(entry, name, value.marks[name])
    elif isinstance(value, list):
        marks = getattr(value, "marks", [mark] * len(value))
        for entry, place in zip(value, marks, strict=True):
            yield from _texts(entry, key, place)
    elif isinstance(value, str) and mark:
        yield key, value, mark


def _below(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A mapping of the tree; what is none is left to the CLI, which takes nothing else there."""
    value = tree.get(key)
    return value if isinstance(value, Mapping) else {}


def _place(tree: Section, path: tuple[str, ...]) -> tuple[Section, str]:
    for step in path[:-1]:
        tree = tree.section(step)
    return tree, path[-1]


def _finding(mark: Mark | None, path: str, target: str) -> Finding:
    file, line = mark or ("databricks.yml", 0)
    message = f"{path} is refused for {target}: it would run with its identity"
    return Finding(file, line, RULE, message, "Keep it to targets such as dev, in targets/.")
