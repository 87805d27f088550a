"""The files of a target in its workspace: marker, state of the CLI, archives of releases."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from delivery.config.target import Target
from delivery.errors import (
    DeliveryError,
    LockedError,
    NotVisibleError,
    RefusedError,
    newer_schema_error,
)
from delivery.refusals import Refusal
from delivery.release import RELEASE_NAME, Archive, read_archive
from delivery.target.events import EventName
from delivery.target.history import ReleaseHistory
from delivery.target.ledger import event_path
from delivery.workspace.client import Job, Workspace

_MARKER_FILE = "TARGET.json"
# Both versions have the same fields. Version 3 may list features, which change their meaning.
STATE_VERSIONS = (2, 3)
SCHEMA = 1  # of the marker
_RELEASE_FOLDER = re.compile(rf"/releases/({RELEASE_NAME.pattern})/")


@dataclass(frozen=True)
class State:
    """The CLI's record of the resources that it created.

    Attributes:
        entries: id, fields and dependencies of each resource by key, such as `jobs.flights_daily`.
        content: the bytes of the file.
    """

    lineage: str = ""
    serial: int = 0
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    content: bytes = b""

    def ids(self, kind: str) -> dict[str, str]:
        """The ids of all resources of a kind; keys are without the kind."""
        keys = (k for k in self.entries if k.startswith(f"{kind}.") and k.count(".") == 1)
        return {key.partition(".")[2]: str(self.entries[key].get("__id__", "")) for key in keys}


class ReleaseStore:
    """The files of one target, except its ledger."""

    def __init__(self, workspace: Workspace, target: Target) -> None:
        self.workspace = workspace
        self.target = target

    def check_marker(self, may_be_missing: bool = False) -> None:
        """Make sure that the target belongs to this project, and that its files are visible.

        A missing marker does not mean that the target is new: the workspace gives the same answer
        to an identity that may not read it.

        Raises:
            NotVisibleError: there is no marker.
            DeliveryError: the marker is not valid.
            RefusedError: the target belongs to another project.
        """
        target = self.target
        content = self.workspace.read(f"{target.root}/{_MARKER_FILE}")
        if content is None and may_be_missing:
            return
        if content is None:
            raise NotVisibleError(
                f"target {target.name} is not visible: no {_MARKER_FILE} in {target.root} of "
                f"{target.host}\n    Ask for read access to this folder. If nothing was ever "
                f"deployed there: delivery deploy {target.name} --first"
            )
        try:
            marker = json.loads(content)
            project, schema = marker["project"], int(marker.get("schema", SCHEMA))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise DeliveryError(
                f"target {target.name}: {_MARKER_FILE} in {target.root} cannot be parsed"
            ) from None
        if schema > SCHEMA:
            raise newer_schema_error(
                f"target {target.name}: {_MARKER_FILE} in {target.root}", schema, SCHEMA
            )
        if project != target.project:
            raise RefusedError(
                Refusal.OTHER_PROJECT,
                f"target {target.name}: {target.root} belongs to the project {project}, expected "
                f"{target.project}\n    Two projects would delete each other's resources: give one "
                "of them another bundle name or deploy_root.",
            )

    def make_marker(self) -> None:
        """Claim an empty folder for this target.

        The folder of the ledger comes first, because a marker without a ledger counts as a ledger
        that this identity may not read.
        """
        root, target = self.target.root, self.target
        self.workspace.mkdirs(f"{root}/ledger")
        marker = {
            "schema": SCHEMA,
            "project": target.project,
            "bundle": target.bundle,
            "target": target.name,
        }
        if self.workspace.read(f"{root}/{_MARKER_FILE}") is None:
            self.workspace.create(f"{root}/{_MARKER_FILE}", json.dumps(marker, indent=1).encode())

    def state(self) -> State:
        """The current state of the CLI; empty before the first deploy.

        Raises:
            DeliveryError: the state is not valid, or has a format that this tool does not know.
        """
        content = self.workspace.read(f"{self.target.root}/state/resources.json")
        if content is None:
            return State()
        try:
            document = json.loads(content)
            entries = {k.removeprefix("resources."): v for k, v in document["state"].items()}
            lineage, serial = str(document.get("lineage", "")), int(document.get("serial", 0))
            if not all(isinstance(entry, dict) for entry in entries.values()):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise DeliveryError(
                f"state of {self.target.name}: state/resources.json cannot be parsed"
            ) from None
        version, features = document.get("state_version"), [*(document.get("features") or ())]
        if version not in STATE_VERSIONS or features:
            known = " or ".join(map(str, STATE_VERSIONS))
            raise DeliveryError(
                f"state of {self.target.name}: given state_version {version}, features "
                f"{features}, expected {known} without features\n    Databricks CLI "
                f"{document.get('cli_version')} wrote it. Update the project from its template: "
                "cruft update"
            )
        return State(lineage, serial, entries, content)

    def duplicate_jobs(self, state: State, orphans: Iterable[Job]) -> list[Job]:
        """Select the orphans that have the name of a job in the state."""
        entries = (state.entries[f"jobs.{key}"] for key in state.ids("jobs"))
        names = {entry.get("state", {}).get("name") for entry in entries}
        return [job for job in orphans if job.name in names]

    def orphans(self, state: State, jobs: Iterable[Job] | None = None) -> list[Job]:
        """Jobs that an interrupted deploy of this target created and that are not in the state.

        Args:
            jobs: all jobs of the workspace, if the caller has listed them.
        """
        known = set(state.ids("jobs").values())
        return [job for job in self.jobs(jobs) if str(job.id) not in known]

    def jobs(self, jobs: Iterable[Job] | None = None) -> list[Job]:
        """Select the jobs that deploys of this target created."""
        metadata = f"{self.target.root}/state/metadata.json"
        listed = self.workspace.jobs() if jobs is None else jobs
        return [job for job in listed if job.deployment == metadata]

    def cli_lock_holder(self) -> str:
        """Who holds the CLI's own lock, and since when; empty if the lock is free."""
        content = self.workspace.read(self._cli_lock_file)
        if content is None:
            return ""
        try:
            lock = json.loads(content)
            return f"{lock['User']} since {lock['AcquisitionTime']}"
        except (ValueError, KeyError, TypeError):
            return "an unknown user"

    def owns_cli_lock(self, me: str, since: float) -> bool:
        """Whether this identity holds the CLI's own lock, and took it after a Unix time."""
        try:
            lock = json.loads(self.workspace.read(self._cli_lock_file) or b"")
            acquired = datetime.fromisoformat(lock["AcquisitionTime"])
            return bool(lock["User"] == me and acquired.timestamp() >= since)
        except (ValueError, KeyError, TypeError):
            return False

    def require_cli_lock_free(self, may_break: bool) -> bool:
        """Make sure that the CLI's own lock is free, or that it may be broken.

        Returns:
            Whether the lock is held and has to be broken.

        Raises:
            LockedError: the lock is held, and may not be broken.
        """
        holder = self.cli_lock_holder()
        if holder and not may_break:
            raise LockedError(
                Refusal.CLI_LOCKED,
                f"CLI lock of {self.target.name}: held by {holder}, maybe since an interruption\n"
                "    If that run has ended, break the lock: --break-lock --reason …",
            )
        return bool(holder)

    def break_cli_lock(self) -> None:
        """Delete the CLI's own lock, even if it is held."""
        self.workspace.delete(self._cli_lock_file)

    @property
    def _cli_lock_file(self) -> str:
        return f"{self.target.root}/state/deploy.lock"

    def save(self, archive: Archive) -> None:
        """Store the archive of a release, so that the target can roll back to it.

        Raises:
            RefusedError: another archive has the same name.
        """
        folder = self._archive_folder(archive.manifest.release)
        files = {"release.tar.gz": archive.content, "manifest.json": archive.manifest.content()}
        for name, content in files.items():
            if not self.workspace.create(f"{folder}/{name}", content):
                raise RefusedError(
                    Refusal.OTHER_CONTENT,
                    f"{archive.manifest.release}: {folder}/{name} exists with other content\n    A "
                    "release never changes: build it from its commit with the locked tools.",
                )

    def open_stored(self, release: str) -> Archive:
        """Read and check the stored archive of a release.

        Raises:
            DeliveryError: the target does not store the release.
            RefusedError: the archive is damaged, or contains another release.
        """
        content = self.workspace.read(f"{self._archive_folder(release)}/release.tar.gz")
        if content is None:
            stored = ", ".join(self.stored_releases()) or "none"
            raise DeliveryError(
                f"release: given {release!r}, expected one that {self.target.name} stores: {stored}"
            )
        archive, _ = read_archive(content, f"{release} of {self.target.name}")
        if archive.manifest.release != release:
            raise RefusedError(
                Refusal.OTHER_CONTENT, f"{release}: the archive contains {archive.manifest.release}"
            )
        return archive

    def stored_releases(self) -> list[str]:
        """The releases that the target stores, the oldest first."""
        return sorted(e.name for e in self.workspace.list_dir(f"{self.target.root}/archives"))

    def remove(self, release: str) -> None:
        """Delete the files of a release; its archive goes last, because it lists the release."""
        self.workspace.delete(self.target.release_folder(release), recursive=True)
        self.workspace.delete(self._archive_folder(release), recursive=True)

    def save_state(self, event: EventName, state: State) -> None:
        """Save a copy of the state beside an event: the CLI saves no earlier versions."""
        path = event_path(self.target, event).removesuffix(".json")
        self.workspace.create(f"{path}.state.json", state.content)

    def _archive_folder(self, release: str) -> str:
        return f"{self.target.root}/archives/{release}"


def jobs_on_other_releases(state: State, history: ReleaseHistory) -> str:
    """How many jobs use another release than the running one; empty if none does."""
    found = Counter(release_of_entry(state.entries[f"jobs.{key}"]) for key in state.ids("jobs"))
    found.pop("", None)
    others = sum(count for release, count in found.items() if release != history.running)
    return f"{others} of {found.total()} jobs still use another release" if others else ""


def release_of_entry(entry: Any) -> str:
    """The release whose files an entry of the state uses; empty if it uses none."""
    match = _RELEASE_FOLDER.search(str(entry.get("state", "")))
    return match[1] if match else ""
