"""What is there already where a release would create something, and whose it is.

A delivery that was cut off leaves resources that no state knows. They are told from what people
made by the mark of the deployment, by the folder they are in, or by who made them and when: only
those are adopted all at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from delivery.existing import existing
from delivery.plan import Change
from delivery.store import State
from delivery.target import Target
from delivery.workspace import Job, Workspace

_CATALOG = {"schemas": "schemas", "volumes": "volumes", "registered_models": "models"}
# Where to ask for a resource that shares its name with others, by its id; jobs are listed.
_BY_ID = {
    "alerts": "/api/2.0/alerts/{}",
    "dashboards": "/api/2.0/lakeview/dashboards/{}",
    "pipelines": "/api/2.0/pipelines/{}",
    "sql_warehouses": "/api/2.0/sql/warehouses/{}",
}


@dataclass(frozen=True)
class Found:
    """A resource that stands where a key would be created.

    Attributes:
        ours: a delivery to this target made it.
        adopted: it was adopted before, and was let go since.
    """

    key: str
    id: str
    ours: bool = False
    adopted: bool = False


@dataclass(frozen=True)
class Leftovers:
    """The workspace as somebody sees it who looks for what was left.

    Attributes:
        jobs: all jobs; `orphans` are those with this target's mark that no state knows.
        under_way: tells of a moment whether a delivery was under way.
        adopted: what people made and a release adopted, as its id by its key, the newest last.
    """

    workspace: Workspace
    target: Target
    state: State
    jobs: Sequence[Job]
    orphans: Sequence[Job]
    under_way: Callable[[float], bool]
    adopted: Sequence[tuple[str, str]]

    def where(self, changes: Sequence[Change]) -> Iterator[Found]:
        """What is there already of what would be created, one for each key."""
        there = existing(self.workspace, self.target, changes)
        orphans = {self.key_of(job): str(job.id) for job in reversed(self.orphans)}
        for change in changes:
            key = change.key
            if change.action != "create" or key.count(".") != 1:
                continue
            before = self._adopted_before(key)
            if before:
                yield Found(key, before, adopted=True)
            elif key in orphans:
                yield Found(key, orphans[key], ours=True)
            elif key in there:
                yield Found(key, there[key], ours=self.is_ours(key, there[key]))

    def is_ours(self, key: str, identity: str) -> bool:
        """Whether a delivery to this target made a resource; in doubt it did not."""
        kind = key.partition(".")[0]
        if any(known.partition(".")[0] == kind and i == identity for known, i in self.adopted):
            return False
        if kind == "jobs":
            return any(str(job.id) == identity for job in self.orphans)
        if kind in _CATALOG:
            told = self._look(f"/api/2.1/unity-catalog/{_CATALOG[kind]}/{identity}")
            mine = told.get("created_by") in (self.target.deployer, self.workspace.me)
            return mine and self.under_way(told.get("created_at", 0) / 1000)
        if kind == "secret_scopes":
            rights = self._look("/api/2.0/secrets/acls/list", {"scope": identity}).get("items", [])
            owner = {"principal": self.target.deployer, "permission": "MANAGE"}
            return owner in rights
        told = self._look(_BY_ID[kind].format(identity)) if kind in _BY_ID else {}
        deployment = told.get("spec", {}).get("deployment", {})
        place = str(deployment.get("metadata_file_path") or told.get("path", ""))
        root = self.target.root.removeprefix("/Workspace")  # some services leave it out
        return place.removeprefix("/Workspace").startswith(f"{root}/")

    def _adopted_before(self, key: str) -> str:
        """The newest that is still there of what was adopted by a key, or is called the same."""
        kind, _, name = key.partition(".")
        known = {*self.state.ids(kind).values()}
        declared = self.target.tree.section("resources").section(kind).section(name)
        mine = declared.get("name", declared.get("display_name", name))
        for other, identity in reversed(self.adopted):
            if other.partition(".")[0] != kind or identity in known:
                continue
            called = self._name(kind, identity)
            if called is not None and (other == key or called == mine):
                return identity
        return ""

    def _name(self, kind: str, identity: str) -> str | None:
        """What a resource is called; None where it is not there, or is known by its name alone."""
        if kind == "jobs":
            return next((job.name for job in self.jobs if str(job.id) == identity), None)
        told = self._look(_BY_ID[kind].format(identity)) if kind in _BY_ID else {}
        return str(told.get("name", told.get("display_name", ""))) if told else None

    def key_of(self, job: Job) -> str:
        """The key of a job; a job is called by its key unless YAML says more."""
        jobs = self.target.tree.section("resources").section("jobs")
        keys = (key for key in jobs if jobs.section(key).get("name") == job.name)
        return f"jobs.{next(keys, '')}"

    def _look(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self.workspace.look(path, query) or {}
