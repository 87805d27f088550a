"""Drift: resources, rights and files of the running release that were changed outside delivery."""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel

from delivery.errors import DeliveryError
from delivery.plan.model import FieldChange
from delivery.plan.normalize import redact
from delivery.plan.planner import PlannedDeploy, make_plan
from delivery.plan.request import PlanRequest
from delivery.release import read_archive
from delivery.release.manifest import sha256
from delivery.status.patch import deletion_hint, suggest_patch
from delivery.target.context import TargetContext

_AT_ONCE = 8
# A file with this first line is a notebook; exporting it changes its bytes.
_NOTEBOOKS = {
    suffix: f"{comment} Databricks notebook source".encode()
    for suffix, comment in {".py": "#", ".r": "#", ".scala": "//", ".sql": "--"}.items()
}


class Drift(BaseModel):
    """One difference between the running release and the workspace.

    Attributes:
        key: the resource, or `file`.
        patch: the YAML that would keep the change; empty if there is none.
        hint: what to do instead, such as the line to delete.
    """

    key: str
    path: str
    expected: Any = None
    actual: Any = None
    patch: str = ""
    hint: str = ""


def running_plan(context: TargetContext) -> PlannedDeploy:
    """The plan of deploying the running release again: its changes include all drift.

    Raises:
        DeliveryError: no release was deployed to this target.
    """
    context.require_visible()
    running = context.ledger.history().running
    if not running:
        raise DeliveryError(f"target {context.target.name}: no release was deployed yet")
    return _plan_of(context, running)


def _plan_of(context: TargetContext, release: str) -> PlannedDeploy:
    planned = make_plan(context, context.store.open_stored(release), PlanRequest())
    context.clear_workdir()
    return planned


def find_drift(context: TargetContext) -> list[Drift]:
    """All drift, except what the policy ignores."""
    planned = running_plan(context)
    return [*find_resource_drift(context, planned), *_file_drift(context, planned)]


def find_resource_drift(context: TargetContext, planned: PlannedDeploy) -> Iterator[Drift]:
    """Drift of resources, except what the policy ignores.

    Changes of an interrupted deploy are not drift: they are in the state, or in its release.
    """
    started = planned.history.in_progress
    other = started and started.release != planned.plan.release
    interrupted = _plan_of(context, started.release) if started and other else None
    for drift in resource_drift(planned, context.policy.drift.ignore):
        if interrupted is None or _would_change(interrupted, drift):
            yield drift


def _would_change(interrupted: PlannedDeploy, drift: Drift) -> bool:
    """Whether finishing an interrupted deploy would still change this."""
    if drift.path == _GONE:
        return drift.key in interrupted.target.declared
    node = interrupted.raw["plan"].get(f"resources.{drift.key}", {"action": "skip"})
    change = (node.get("changes") or {}).get("" if drift.path == _ALL else drift.path, {})
    return bool(node["action"] != "skip" and change.get("action", "skip") != "skip")


_GONE, _ALL = "deleted outside delivery", "all entries"


def resource_drift(planned: PlannedDeploy, ignored: Sequence[str]) -> Iterator[Drift]:
    """The differences in a plan that no release made.

    Args:
        ignored: patterns of `key: field` that may change outside delivery.
    """
    for change in planned.plan.changes:
        if change.action == "create" and change.key in planned.state.entries:
            yield Drift(key=change.key, path=_GONE, hint=deletion_hint(planned, change.key))
        for field in filter(_is_outside_change, change.fields):
            name = f"{change.key}: {field.path}"
            if not any(_matches(name, pattern) for pattern in ignored):
                yield _drift(planned, change.key, field)


def _is_outside_change(field: FieldChange) -> bool:
    """Whether the declaration did not change, but the workspace did.

    A dashboard's etag changes with every edit, and only the state has it. Rights that were
    removed as a whole have an empty path, and their container as the old value.
    """
    old = field.old
    if not field.path and isinstance(old, Mapping):
        old = old.get("__embed__", old.get("acls"))
    return field.path == "etag" or bool(old == field.new)


def _matches(name: str, pattern: str) -> bool:
    """Whether a name matches a pattern; brackets are not wildcards, because paths have them."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _drift(planned: PlannedDeploy, key: str, field: FieldChange) -> Drift:
    path, changes = field.path, planned.raw["plan"][f"resources.{key}"].get("changes", {})
    change = changes.get(path) or field.model_dump()
    new, remote = (redact(path, change.get(name), whole=True) for name in ("new", "remote"))
    patch, hint = suggest_patch(planned, key, path)
    return Drift(key=key, path=path or _ALL, expected=new, actual=remote, patch=patch, hint=hint)


def _file_drift(context: TargetContext, planned: PlannedDeploy) -> Iterator[Drift]:
    """Files that were edited or deleted; no plan contains them."""
    files = read_archive(planned.archive.content, planned.archive.name)[1]
    folder = f"{context.target.release_folder(planned.plan.release)}/files"
    plain = [name for name, content in files.items() if not is_notebook(name, content)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda name: context.workspace.read(f"{folder}/{name}"), plain))
    for name, content in zip(plain, found, strict=True):
        if content is None:
            yield Drift(key="file", path=f"{name} was deleted")
        elif sha256(content) != sha256(files[name]):
            yield Drift(key="file", path=f"{name} was edited")
    yield from _notebook_drift(context, planned, folder, sorted({*files} - {*plain}))


def is_notebook(name: str, content: bytes) -> bool:
    """Whether the workspace imports a file as a notebook."""
    suffix = PurePosixPath(name).suffix.lower()
    first = content.split(b"\n", 1)[0].rstrip(b"\r")
    return suffix == ".ipynb" or first == _NOTEBOOKS.get(suffix)


def _notebook_drift(
    context: TargetContext, planned: PlannedDeploy, folder: str, names: Sequence[str]
) -> Iterator[Drift]:
    """Notebooks have no suffix in the workspace, and are compared by its own clock."""
    paths = {name: PurePosixPath(folder, name).with_suffix("") for name in names}
    modified: dict[str, float] = {}
    for parent in {str(path.parent) for path in paths.values()}:
        modified |= {f"{parent}/{e.name}": e.modified for e in context.workspace.list_dir(parent)}
    # The event was written after the files, by the same clock.
    running = planned.history.delivered
    delivered = context.ledger.created_at(running) if names and running else 0
    for name, path in paths.items():
        if str(path) not in modified:
            yield Drift(key="file", path=f"{name} was deleted")
        elif modified[str(path)] > delivered:
            yield Drift(key="file", path=f"{name} was edited")
