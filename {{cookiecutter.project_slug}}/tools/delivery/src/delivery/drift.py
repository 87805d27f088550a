"""What hands changed in a workspace: resources, rights, and the files of the running release."""

import fnmatch
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel

from delivery.errors import DeliveryError
from delivery.plan import Field, shown
from delivery.prepare import Preparation, Prepared, Wishes
from delivery.proposal import propose, to_delete
from delivery.release import read_archive
from delivery.release.manifest import sha256
from delivery.site import Site

_AT_ONCE = 8
# The first line that makes a notebook of a file; the workspace rewrites it when it is exported.
_NOTEBOOKS = {
    suffix: f"{comment} Databricks notebook source".encode()
    for suffix, comment in {".py": "#", ".r": "#", ".scala": "//", ".sql": "--"}.items()
}


class Drift(BaseModel):
    """One thing that is not as it was delivered.

    Attributes:
        key: the resource, or `file`.
        adopt: the YAML that would make the change the project's own; empty when none can.
        note: what to do instead, such as the line to delete.
    """

    key: str
    what: str
    delivered: Any = None
    found: Any = None
    adopt: str = ""
    note: str = ""


def running_plan(site: Site) -> Prepared:
    """What delivering the running release once more would change: what hands did is in it.

    Raises:
        DeliveryError: nothing runs here.
    """
    site.check_seen()
    running = site.ledger.standing().running
    if not running:
        raise DeliveryError(f"target {site.target.name}: nothing was delivered there yet")
    return _plan_of(site, running)


def _plan_of(site: Site, release: str) -> Prepared:
    prepared = Preparation(site, site.store.get(release), Wishes(back=False)).plan()
    shutil.rmtree(site.work, ignore_errors=True)
    return prepared


def find_drift(site: Site) -> list[Drift]:
    """Everything that hands changed, but what the policy lets them."""
    prepared = running_plan(site)
    return [*of_resources(site, prepared), *_of_files(site, prepared)]


def of_resources(site: Site, prepared: Prepared) -> Iterator[Drift]:
    """What hands changed in resources, but what the policy lets them.

    What a deploy that was cut off did is none: either state and release differ, or it is what the
    release of that deploy declares.
    """
    cut_off = prepared.standing.unfinished
    other = cut_off and cut_off.release != prepared.plan.release
    begun = _plan_of(site, cut_off.release) if cut_off and other else None
    for drift in resource_drift(prepared, site.policy.drift.ignore):
        if begun is None or _is_left(begun, drift):
            yield drift


def _is_left(begun: Prepared, drift: Drift) -> bool:
    """Whether going on with a deploy that was cut off would still change this."""
    if drift.what == _GONE:
        return drift.key in begun.target.declared
    node = begun.raw["plan"].get(f"resources.{drift.key}", {"action": "skip"})
    change = (node.get("changes") or {}).get("" if drift.what == _ALL else drift.what, {})
    return bool(node["action"] != "skip" and change.get("action", "skip") != "skip")


_GONE, _ALL = "deleted by hand", "all of them"


def resource_drift(prepared: Prepared, ignored: Sequence[str]) -> Iterator[Drift]:
    """What differs in a plan although no release changed it.

    Args:
        ignored: patterns of `key: field` that the policy lets people change.
    """
    for change in prepared.plan.changes:
        if change.action == "create" and change.key in prepared.state.entries:
            note = to_delete(prepared, change.key)
            yield Drift(key=change.key, what=_GONE, note=note)
        for field in filter(_is_by_hand, change.fields):
            name = f"{change.key}: {field.path}"
            if not any(_matches(name, pattern) for pattern in ignored):
                yield _drift(prepared, change.key, field)


def _is_by_hand(field: Field) -> bool:
    """A dashboard's etag moves when somebody edits it, and stands in the state alone.

    Rights that are gone as a whole are told under no path, with what holds them as the old value.
    """
    old = field.old
    if not field.path and isinstance(old, Mapping):
        old = old.get("__embed__", old.get("acls"))
    return field.path == "etag" or bool(old == field.new)


def _matches(name: str, pattern: str) -> bool:
    """Stars are the only wildcard: brackets belong to the paths."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _drift(prepared: Prepared, key: str, field: Field) -> Drift:
    path, told = field.path, prepared.raw["plan"][f"resources.{key}"].get("changes", {})
    change = told.get(path) or field.model_dump()
    new, remote = (shown(path, change.get(name), whole=True) for name in ("new", "remote"))
    adopt, note = propose(prepared, key, path)
    return Drift(key=key, what=path or _ALL, delivered=new, found=remote, adopt=adopt, note=note)


def _of_files(site: Site, prepared: Prepared) -> Iterator[Drift]:
    """Files that are edited or gone: no plan sees them."""
    files = read_archive(prepared.archive.content, prepared.archive.name)[1]
    folder = f"{site.target.release_folder(prepared.plan.release)}/files"
    plain = [name for name, content in files.items() if not is_notebook(name, content)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda name: site.workspace.read(f"{folder}/{name}"), plain))
    for name, content in zip(plain, found, strict=True):
        if content is None:
            yield Drift(key="file", what=f"{name} is gone")
        elif sha256(content) != sha256(files[name]):
            yield Drift(key="file", what=f"{name} was edited")
    yield from _of_notebooks(site, prepared, folder, sorted({*files} - {*plain}))


def is_notebook(name: str, content: bytes) -> bool:
    """Whether the workspace makes a notebook of a file."""
    suffix = PurePosixPath(name).suffix.lower()
    first = content.split(b"\n", 1)[0].rstrip(b"\r")
    return suffix == ".ipynb" or first == _NOTEBOOKS.get(suffix)


def _of_notebooks(
    site: Site, prepared: Prepared, folder: str, names: Sequence[str]
) -> Iterator[Drift]:
    """Notebooks are kept without their suffix, and judged by the workspace's own clock."""
    paths = {name: PurePosixPath(folder, name).with_suffix("") for name in names}
    modified: dict[str, float] = {}
    for parent in {str(path.parent) for path in paths.values()}:
        modified |= {f"{parent}/{e.name}": e.modified for e in site.workspace.entries(parent)}
    # The workspace's own time of the event that delivered the release, which came after it.
    running = prepared.standing.delivered
    delivered = site.ledger.written(running) if names and running else 0
    for name, path in paths.items():
        if str(path) not in modified:
            yield Drift(key="file", what=f"{name} is gone")
        elif modified[str(path)] > delivered:
            yield Drift(key="file", what=f"{name} was edited")
