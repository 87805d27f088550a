"""What a target keeps in its workspace: marker, state of the CLI, archives of releases."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from delivery.errors import DeliveryError, Exit, NoAccessError, newer
from delivery.ledger import Name, event_path
from delivery.release import Archive, read_archive
from delivery.target import Target
from delivery.workspace import Job, Workspace

MARKER = "TARGET.json"
# Versions of the CLI's state that are one form; 3 may add features, which change what it means.
STATE_VERSIONS = (2, 3)
SCHEMA = 1  # of the marker


@dataclass(frozen=True)
class State:
    """What the CLI knows of what it made.

    Attributes:
        entries: id, fields and dependencies by key, such as `jobs.flights_daily`.
        content: the file as it is.
    """

    lineage: str = ""
    serial: int = 0
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    content: bytes = b""

    def ids(self, kind: str) -> dict[str, str]:
        """The ids of all resources of a kind, by key without the kind."""
        keys = (k for k in self.entries if k.startswith(f"{kind}.") and k.count(".") == 1)
        return {key.partition(".")[2]: str(self.entries[key].get("__id__", "")) for key in keys}


class Store:
    """The files of one target, apart from its ledger."""

    def __init__(self, workspace: Workspace, target: Target) -> None:
        self.workspace = workspace
        self.target = target

    def check_marker(self, may_be_missing: bool = False) -> None:
        """Make sure that this is the target we mean, and that we can see it.

        A missing marker never means an empty target: whoever may not read gets the same answer.

        Raises:
            DeliveryError: it is missing, unreadable, or another project's.
        """
        target = self.target
        content = self.workspace.read(f"{target.root}/{MARKER}")
        if content is None and may_be_missing:
            return
        if content is None:
            raise NoAccessError(
                f"target {target.name}: cannot be seen: no {MARKER} in {target.root} of "
                f"{target.host}\n    Ask for the right to read this folder. If nothing was ever "
                f"delivered there: delivery deploy {target.name} --first"
            )
        try:
            marker = json.loads(content)
            project, schema = marker["project"], int(marker.get("schema", SCHEMA))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise DeliveryError(
                f"target {target.name}: {MARKER} in {target.root} cannot be read for what it is"
            ) from None
        if schema > SCHEMA:
            raise newer(f"target {target.name}: {MARKER} in {target.root}", schema, SCHEMA)
        if project != target.project:
            raise DeliveryError(
                f"target {target.name}: {target.root} belongs to the project {project}, expected "
                f"{target.project}\n    Two projects would delete each other's resources: give one "
                "of them another bundle name or deploy_root.",
                Exit.REFUSED,
            )

    def make_marker(self) -> None:
        """Claim a folder that holds no target yet.

        The ledger's folder comes first: a marker without a ledger means that it cannot be seen.
        """
        self.workspace.make_folder(f"{self.target.root}/ledger")
        told = {"schema": SCHEMA, "project": self.target.project, "bundle": self.target.bundle}
        content = json.dumps({**told, "target": self.target.name}, indent=1).encode()
        if self.workspace.read(f"{self.target.root}/{MARKER}") is None:
            self.workspace.create(f"{self.target.root}/{MARKER}", content)

    def state(self) -> State:
        """The CLI's state as it is now; an empty one when there is none yet."""
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
                f"state of {self.target.name}: state/resources.json cannot be read for what it is"
            ) from None
        self._refuse_unknown_state(document)
        return State(lineage, serial, entries, content)

    def _refuse_unknown_state(self, document: Mapping[str, Any]) -> None:
        """A state of another form is not read as if it were one of ours.

        Raises:
            DeliveryError: the CLI that wrote it keeps its state in another form.
        """
        version, features = document.get("state_version"), [*(document.get("features") or ())]
        if version not in STATE_VERSIONS or features:
            known = " or ".join(map(str, STATE_VERSIONS))
            raise DeliveryError(
                f"state of {self.target.name}: given state_version {version}, features "
                f"{features}, expected {known} without features\n    Databricks CLI "
                f"{document.get('cli_version')} wrote it: update the delivery tool (the template)."
            )

    def doubles(self, state: State, orphans: Iterable[Job]) -> list[Job]:
        """Orphans of the same name as a job of the state."""
        entries = (state.entries[f"jobs.{key}"] for key in state.ids("jobs"))
        names = {entry.get("state", {}).get("name") for entry in entries}
        return [job for job in orphans if job.name in names]

    def orphans(self, state: State, jobs: Iterable[Job] | None = None) -> list[Job]:
        """Jobs that a deploy of this target made and that no state knows: it was cut off.

        Args:
            jobs: all jobs of the workspace, where they are known already.
        """
        known = set(state.ids("jobs").values())
        return [job for job in self.jobs(jobs) if str(job.id) not in known]

    def jobs(self, jobs: Iterable[Job] | None = None) -> list[Job]:
        """All jobs that deploys of this target made."""
        made_here = f"{self.target.root}/state/metadata.json"
        known = self.workspace.jobs() if jobs is None else jobs
        return [job for job in known if job.deployment == made_here]

    def lock_of_cli(self) -> str:
        """Who holds the CLI's own lock and since when; empty when nobody does."""
        content = self.workspace.read(self._lock_of_cli)
        if content is None:
            return ""
        try:
            lock = json.loads(content)
            return f"{lock['User']} since {lock['AcquisitionTime']}"
        except (ValueError, KeyError, TypeError):
            return "somebody"

    def made_lock_of_cli(self, me: str, since: float) -> bool:
        """Whether the CLI's own lock is of this identity, and no older than a Unix time."""
        try:
            lock = json.loads(self.workspace.read(self._lock_of_cli) or b"")
            taken = datetime.fromisoformat(lock["AcquisitionTime"])
            return bool(lock["User"] == me and taken.timestamp() >= since)
        except (ValueError, KeyError, TypeError):
            return False

    def breaks_lock_of_cli(self, allowed: bool) -> bool:
        """Whether the CLI's own lock has to be taken from somebody.

        Raises:
            DeliveryError: it has to, and may not.
        """
        held = self.lock_of_cli()
        if held and not allowed:
            raise DeliveryError(
                f"lock of the CLI on {self.target.name}: {held} works on it, or was cut off\n"
                "    If that run is gone for good: --break-lock --reason …",
                Exit.REFUSED,
            )
        return bool(held)

    def remove_lock_of_cli(self) -> None:
        """Take the CLI's own lock away from whoever has it."""
        self.workspace.delete(self._lock_of_cli)

    @property
    def _lock_of_cli(self) -> str:
        return f"{self.target.root}/state/deploy.lock"

    def put(self, archive: Archive) -> None:
        """Keep a release, so that the target can go back to it.

        Raises:
            DeliveryError: another archive is kept under the same name.
        """
        folder = self._folder(archive.manifest.release)
        files = {"release.tar.gz": archive.content, "manifest.json": archive.manifest.content()}
        for name, content in files.items():
            if not self.workspace.create(f"{folder}/{name}", content):
                raise DeliveryError(
                    f"{archive.manifest.release}: {folder}/{name} has other bytes; a release never "
                    "changes: build it from its commit with the locked tools",
                    Exit.REFUSED,
                )

    def get(self, release: str) -> Archive:
        """A release that the target keeps, if it is whole.

        Raises:
            DeliveryError: it is not kept, or not what it was.
        """
        content = self.workspace.read(f"{self._folder(release)}/release.tar.gz")
        if content is None:
            kept = ", ".join(self.kept()) or "none"
            raise DeliveryError(
                f"release: given {release!r}, expected one that {self.target.name} keeps: {kept}"
            )
        archive, _ = read_archive(content, f"{release} of {self.target.name}")
        if archive.manifest.release != release:
            raise DeliveryError(
                f"{release}: the archive says it is {archive.manifest.release}", Exit.REFUSED
            )
        return archive

    def kept(self) -> list[str]:
        """The releases that the target keeps, the oldest first."""
        return sorted(e.name for e in self.workspace.entries(f"{self.target.root}/archives"))

    def remove(self, release: str) -> None:
        """Forget a release: its folder, then its archive, by which it is known."""
        self.workspace.delete(self.target.release_folder(release), recursive=True)
        self.workspace.delete(self._folder(release), recursive=True)

    def keep_state(self, event: Name, state: State) -> None:
        """Keep the state beside an event: the CLI has no history of it."""
        file = event_path(self.target, event).removesuffix(".json")
        self.workspace.create(f"{file}.state.json", state.content)

    def _folder(self, release: str) -> str:
        return f"{self.target.root}/archives/{release}"


def told_time(seconds: float) -> str:
    """A Unix time in words, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
