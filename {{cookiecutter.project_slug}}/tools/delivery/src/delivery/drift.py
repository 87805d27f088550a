"""What hands changed in a workspace: resources, rights, and the files of the running release."""

import fnmatch
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import yaml
from pydantic import BaseModel

from delivery.errors import DeliveryError
from delivery.plan import Change, Plan
from delivery.prepare import Preparation, Wishes
from delivery.release import Archive
from delivery.release.manifest import sha256
from delivery.site import Site

_AT_ONCE = 8
_NOTEBOOK = b"# Databricks notebook source"  # the workspace rewrites these when they are exported


class Drift(BaseModel):
    """One thing that is not as it was delivered.

    Attributes:
        key: the resource, or `file`.
        adopt: the YAML that would make the change the project's own; empty when none can.
    """

    key: str
    what: str
    delivered: Any = None
    found: Any = None
    adopt: str = ""


def running_plan(site: Site) -> tuple[Plan, Archive]:
    """What delivering the running release once more would change: everything in it is drift.

    Raises:
        DeliveryError: nothing runs here.
    """
    site.store.check_marker()
    running = site.ledger.standing().running
    if not running:
        raise DeliveryError(f"target {site.target.name}: nothing was delivered there yet")
    archive = site.store.get(running)
    preparation = Preparation(site, archive, Wishes(back=False))
    plan = preparation.plan().plan
    shutil.rmtree(site.work, ignore_errors=True)
    return plan, archive


def find_drift(site: Site) -> list[Drift]:
    """Everything that hands changed, but what the policy lets them."""
    plan, archive = running_plan(site)
    ignored = site.policy.drift.ignore
    return [*of_resources(plan.changes, ignored), *_of_files(site, archive)]


def of_resources(changes: Sequence[Change], ignored: Sequence[str]) -> Iterator[Drift]:
    """What hands changed in resources, but what the policy lets them."""
    for change in changes:
        if change.action == "create":  # it is in the state, or it would be no drift
            yield Drift(key=change.key, what="deleted by hand")
        for field in change.fields:
            name = f"{change.key}: {field.path}"
            if not any(_matches(name, pattern) for pattern in ignored):
                yield Drift(
                    key=change.key,
                    what=field.path,
                    delivered=field.new,
                    found=field.remote,
                    adopt=_adopted(change.key, field.path, field.remote),
                )


def _matches(name: str, pattern: str) -> bool:
    """Stars are the only wildcard: brackets belong to the paths."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _adopted(key: str, path: str, value: Any) -> str:
    """The YAML of a found value; entries of lists are shown with what they are found by."""
    kind, _, name = key.partition(".")
    if value is None or "[" in path or name.endswith((".permissions", ".grants")):
        return ""
    document: Any = value
    for step in reversed(path.split(".")):
        document = {step: document}
    return str(yaml.safe_dump({"resources": {kind: {name: document}}}, sort_keys=False))


def _of_files(site: Site, archive: Archive) -> Iterator[Drift]:
    """Files that are edited or gone: no plan sees them."""
    folder = f"{site.target.release_folder(archive.manifest.release)}/files"
    names = [name for name in archive.manifest.files if not name.endswith(".ipynb")]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        contents = list(pool.map(lambda name: site.workspace.read(f"{folder}/{name}"), names))
    for name, content in zip(names, contents, strict=True):
        expected = archive.manifest.files[name].sha256
        if content is None:
            yield Drift(key="file", what=f"{name} is gone")
        elif sha256(content) != expected and not content.startswith(_NOTEBOOK):
            yield Drift(key="file", what=f"{name} was edited")
