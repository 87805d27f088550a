"""`untrusted`: content of a bundle that could run code or leak credentials during a deploy."""

import os
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from delivery.checks.registry import CheckContext, rule
from delivery.config.bundle import TOP_LEVEL_MAPPINGS, Bundle, load_bundle
from delivery.config.cli_view import differences
from delivery.config.includes import ROOT_FILE, refused_includes
from delivery.config.model import ANCHOR_PREFIX
from delivery.config.references import Resolved, resolve
from delivery.config.target import PREVIEW_TARGET
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import Finding, RefusedError
from delivery.refusals import Refusal
from delivery.workspace.bundle_cli import BundleCli

RULE = "untrusted"

# The keys that a delivered bundle may have; all others are refused, whatever they do in the CLI.
# For example, scripts, builds and engines run programs during a plan, with access to the token, and
# without the lock two deploys can run at once. See docs/design-decisions.md of the template.
_ALLOWED: Mapping[str, Collection[str]] = {
    "": (
        *TOP_LEVEL_MAPPINGS,
        "git",  # of a target; the CLI moves it below `bundle`
        "include",
        "permissions",
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
_LOCAL = ("code_source_path", "file_path")  # the CLI opens these here, even absolute ones
_OPENED = (*_LOCAL, "dependencies", "jar", "whl")  # it opens these, too, unless they are absolute
# An unresolved value; except the names of a release and of its wheel, which never contain `..`.
_UNKNOWN = re.compile(r"<(?!var\.(?:release|wheel)>)[a-z]+\.|\$\{")
_OWN_JOB = re.compile(r"\$\{resources\.jobs\.([\w-]+)\.id\}")
_OPTION = re.compile(r"^-[re] +")  # of pip, before a path


@rule(RULE, needs="root")
def check_untrusted(context: CheckContext) -> Iterator[Finding]:
    """Refused content of each target that takes releases or previews."""
    for target in {*context.released, PREVIEW_TARGET} & {*context.bundle.targets}:
        yield from untrusted_content(context.bundle, target, context.targets[target])


def untrusted_content(
    bundle: Bundle, target: str, resolved: Resolved | None = None
) -> Iterator[Finding]:
    """The refused content of a target, without running the CLI."""
    yield from refused_includes(bundle.root, bundle.files[1:], bundle.tree)
    if os.path.lexists(bundle.root / "setup.py"):
        message = "setup.py is refused: the CLI would run it as the deployer"
        hint = "Use pyproject.toml instead, or move the file below src/."
        yield Finding("setup.py", 0, RULE, message, hint)
    tree = bundle.tree_for_target(target)
    for *parents, key in refused_keys(tree):
        section = tree
        for parent in parents:
            section = section.section(parent)
        path = ".".join([*parents, key])
        message = f"{path} is refused for {target}: it would run with the deployer's identity"
        hint = "Move it to a target that takes no releases, such as dev, in targets/."
        yield Finding(*section.marks.get(key, Mark(ROOT_FILE, 0)), RULE, message, hint)
    for mark, subject, hint in _foreign(tree, resolved or resolve(bundle, target)):
        yield Finding(mark.file, mark.line, RULE, f"{subject} is refused for {target}", hint)


def refuse_untrusted(folder: Path, target: str, ask_cli: bool = True) -> None:
    """Refuse a bundle with untrusted content before it can run code or use credentials.

    Args:
        ask_cli: also check the configuration as the CLI merges it, and require that it equals
            ours. False if no CLI is installed, so that none can run the bundle.

    Raises:
        RefusedError: the bundle has refused content, or the CLI reads it differently.
    """
    bundle = load_bundle(folder)
    found = list(map(str, untrusted_content(bundle, target)))
    if not found and ask_cli:
        merged = BundleCli(folder, target).merged_configuration()
        found = [f"{'.'.join(path)}, as the CLI reads it" for path in refused_keys(merged)]
        found = found or list(map(str, differences(bundle, target, merged)))
    if found:
        raise RefusedError(Refusal.UNTRUSTED, f"refused for {target}:\n" + "\n".join(found))


def refused_keys(tree: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The paths of keys in a merged tree that are not allowed; empty values have no effect."""
    for name, allowed in _ALLOWED.items():
        section = _below(tree, name) if name else tree
        for key, value in section.items():
            anchors = not name and key.startswith(ANCHOR_PREFIX)
            unset = value in (None, {}, []) or (name, key, value) == ("sync", "paths", ["."])
            if key not in allowed and not anchors and not unset:
                yield (name, key) if name else (key,)
    if _below(tree, "resources").get("secrets"):
        yield ("resources", "secrets")
    for name, variable in _below(tree, "variables").items():
        if isinstance(variable, Mapping) and variable.get("value") is not None:
            yield ("variables", name, "value")  # internal to the CLI; overrides the target
    if "${" in str(_below(tree, "workspace").get("host", "")):
        yield ("workspace", "host")  # the CLI does not resolve it


def _foreign(tree: YamlMapping, resolved: Resolved) -> Iterator[tuple[Mark, str, str]]:
    """Code, jobs and paths that are not part of the release: mark, subject and hint of each."""
    jobs = tree.section("resources").section("jobs")
    for key in jobs:
        if jobs.section(key).get("git_source"):
            mark = jobs.section(key).marks["git_source"]
            yield (
                mark,
                f"jobs.{key}.git_source",
                "Move the code below src/, into the release.",
            )
    yield from _foreign_runs(tree.section("resources"))
    for key, text, mark in resolved.texts:
        if _leaves(key, text, mark, id(mark) in resolved.referring):
            yield mark, f"{key}: {text}", "Name a file of the project, such as ../../src/NAME.py."


def _foreign_runs(resources: YamlMapping) -> Iterator[tuple[Mark, str, str]]:
    """Runs, which start with the deploy, of jobs that the bundle does not declare."""
    runs, jobs = resources.section("job_runs"), resources.section("jobs")
    for key in runs:
        job_id = str(runs.section(key).get("job_id"))
        own = _OWN_JOB.fullmatch(job_id)
        if not own or own[1] not in jobs:
            example = f"${{resources.jobs.{next(iter(jobs), 'NAME')}.id}}"
            hint = f"Name a job of the bundle, as in job_id: {example}"
            yield runs.marks[key], f"job_runs.{key}: job_id {job_id}", hint


def _leaves(key: str, text: str, mark: Mark, has_references: bool) -> bool:
    """Whether a value is a path out of the release. With references, any `..` counts as one."""
    if ".." not in text and key not in _LOCAL and key not in _OPENED:
        return False
    path = _OPTION.sub("", text).strip("\"' ").replace("\\", "/")
    if key in _LOCAL and (path.startswith("/") or ":" in path):
        return True
    if key in _OPENED and has_references and not path.startswith("/") and _UNKNOWN.search(path):
        return True
    if ".." not in path.split("/"):
        return False
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(mark.file), path))
    return has_references or path.startswith("/") or inside.startswith("..")


def _below(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping below a key; empty for other values, which the CLI rejects."""
    value = tree.get(key)
    return value if isinstance(value, Mapping) else {}
