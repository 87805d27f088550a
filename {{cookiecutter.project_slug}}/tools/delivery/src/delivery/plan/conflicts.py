"""Finds resources that a release would create although they exist, and finds their owners.

An interrupted deploy leaves resources that no state contains. The metadata of the deployment, the
folder, or the creator and the time of creation distinguish them from resources that people made.
Only leftovers of a deploy are adopted all at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from delivery.config.target import Target
from delivery.plan.existing import find_existing, is_below
from delivery.plan.model import ResourceChange
from delivery.resources import properties_of
from delivery.target.store import State
from delivery.workspace.client import Job, Workspace


@dataclass(frozen=True)
class ExistingResource:
    """A resource that exists already where a plan would create one.

    Attributes:
        created_by_deploy: a deploy to this target created it.
        adopted: it was adopted before, and unbound since.
    """

    key: str
    id: str
    created_by_deploy: bool = False
    adopted: bool = False


@dataclass(frozen=True)
class ConflictFinder:
    """Finds existing resources, as far as they are visible to the caller.

    Attributes:
        jobs: all jobs of the workspace.
        orphans: the jobs that deploys to this target created and that no state contains.
        was_deploying: whether a deploy was in progress at a moment, in seconds since the epoch.
        adopted: key and id of each resource that people made and that was adopted, newest last.
    """

    workspace: Workspace
    target: Target
    state: State
    jobs: Sequence[Job]
    orphans: Sequence[Job]
    was_deploying: Callable[[float], bool]
    adopted: Sequence[tuple[str, str]]

    def find(self, changes: Sequence[ResourceChange]) -> Iterator[ExistingResource]:
        """The resources that exist already and that the changes would create, one per key."""
        existing = find_existing(self.workspace, self.target, changes)
        orphans = {self.key_of(job): str(job.id) for job in reversed(self.orphans)}
        for change in changes:
            key = change.key
            if change.action != "create" or key.count(".") != 1:
                continue
            adopted = self._adopted_before(key)
            if adopted:
                yield ExistingResource(key, adopted, adopted=True)
            elif key in orphans:
                yield ExistingResource(key, orphans[key], created_by_deploy=True)
            elif key in existing:
                yield ExistingResource(
                    key,
                    existing[key],
                    created_by_deploy=self.was_created_by_deploy(key, existing[key]),
                )

    def was_created_by_deploy(self, key: str, identity: str) -> bool:
        """Whether a deploy to this target created a resource; False if in doubt."""
        kind = key.partition(".")[0]
        if any(k.partition(".")[0] == kind and i == identity for k, i in self.adopted):
            return False
        if kind == "jobs":
            return any(str(job.id) == identity for job in self.orphans)
        if properties_of(kind).has_creator:
            found = self._get(properties_of(kind).address.format(id=identity))
            made_by_us = found.get("created_by") in (self.target.deployer, self.workspace.me)
            return made_by_us and self.was_deploying(found.get("created_at", 0) / 1000)
        if kind == "secret_scopes":
            acls = self._get("/api/2.0/secrets/acls/list", {"scope": identity}).get("items", [])
            return {"principal": self.target.deployer, "permission": "MANAGE"} in acls
        found = self._by_id(kind, identity)
        deployment = found.get("spec", {}).get("deployment", {})
        path = str(deployment.get("metadata_file_path") or found.get("path", ""))
        return is_below(path, self.target.root)

    def _adopted_before(self, key: str) -> str:
        """The id of the newest adopted resource with this key or name that still exists."""
        kind, _, name = key.partition(".")
        bound = {*self.state.ids(kind).values()}
        declared = self.target.tree.section("resources").section(kind).section(name)
        declared_name = declared.get("name", declared.get("display_name", name))
        for adopted_key, identity in reversed(self.adopted):
            if adopted_key.partition(".")[0] != kind or identity in bound:
                continue
            found_name = self._name(kind, identity)
            if found_name is not None and (adopted_key == key or found_name == declared_name):
                return identity
        return ""

    def _name(self, kind: str, identity: str) -> str | None:
        """The name of a resource; None if it does not exist or its kind has no API by id."""
        if kind == "jobs":
            return next((job.name for job in self.jobs if str(job.id) == identity), None)
        found = self._by_id(kind, identity)
        return str(found.get("name", found.get("display_name", ""))) if found else None

    def key_of(self, job: Job) -> str:
        """The key under which the release declares a job of this name; `jobs.` if it has none."""
        jobs = self.target.tree.section("resources").section("jobs")
        keys = (key for key in jobs if jobs.section(key).get("name") == job.name)
        return f"jobs.{next(keys, '')}"

    def _by_id(self, kind: str, identity: str) -> dict[str, Any]:
        by_id = properties_of(kind).by_id
        return self._get(by_id.format(id=identity)) if by_id else {}

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self.workspace.get_or_none(path, query) or {}
