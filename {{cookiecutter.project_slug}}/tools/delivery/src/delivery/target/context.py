"""A released target and what commands need to work on it, with one workspace and one identity."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from delivery.checks.untrusted import refuse_untrusted
from delivery.config.policy import Policy, load_policy, require_tool_version
from delivery.config.target import UNKNOWN_RELEASE, Target, read_target, require_configured_host
from delivery.errors import DeliveryError, NotVisibleError, RefusedError
from delivery.refusals import Refusal
from delivery.release.archive import Archive, open_archive
from delivery.target.events import Event
from delivery.target.history import ReleaseHistory
from delivery.target.ledger import Ledger
from delivery.target.lock import Lock
from delivery.target.store import ReleaseStore, State
from delivery.target.workdir import (
    PROCESS_FOLDER,
    is_locked,
    lock_file_of,
    lock_folder,
    work_folder,
)
from delivery.workspace.client import Job, Workspace, connect

Progress = Callable[[str], None]  # reports progress to people


@dataclass(frozen=True)
class TargetContext:
    """A released target, with the policy of the checkout that it is used from.

    Attributes:
        root: the checkout.
        policy: the policy of the checkout, not of a release.
        checked_digest: the digest of the release that was checked before any credential was used.
    """

    root: Path
    target: Target
    policy: Policy
    workspace: Workspace
    checked_digest: str = ""

    @cached_property
    def store(self) -> ReleaseStore:
        """The files of the target."""
        return ReleaseStore(self.workspace, self.target)

    @cached_property
    def ledger(self) -> Ledger:
        """The events of the target."""
        return Ledger(self.workspace, self.target)

    def running_event(self, history: ReleaseHistory) -> Event | None:
        """The event that deployed the running release; None before the first deploy."""
        return self.ledger.read(history.delivered) if history.delivered else None

    def jobs_of_our_deploys(self, jobs: Iterable[Job]) -> list[Job]:
        """Select the jobs that the deployer or this identity created during a deploy."""
        was_deploying = self.ledger.was_deploying_predicate()
        creators = (self.target.deployer, self.workspace.me)
        return [job for job in jobs if job.creator in creators and was_deploying(job.created)]

    def require_visible(self, may_be_new: bool = False) -> None:
        """Make sure that the target belongs to this project, and that its files are visible.

        Args:
            may_be_new: the user says that nothing was ever deployed to the target.

        Raises:
            NotVisibleError: the target is not visible to this identity.
            DeliveryError: the target belongs to another project, or its marker is not valid.
        """
        self.store.check_marker(may_be_missing=may_be_new)
        self.ledger.may_be_missing = may_be_new

    def state(self, history: ReleaseHistory) -> State:
        """The CLI's state, after a check that it fits the ledger.

        Raises:
            NotVisibleError: the state or the ledger is missing although the other one exists.
            RefusedError: another tool deployed to the target.
        """
        state, name, root = self.store.state(), self.target.name, self.target.root
        if history.delivered and not state.content:
            raise NotVisibleError(
                f"target {name} is not visible: {history.running} is the running release in the "
                f"ledger, but {root}/state has no state\n    Ask for read access to this folder."
            )
        if state.entries and not history.managed_by_us:
            problem = f"{root}/state has {len(state.entries)} resources that no event records"
            hint = "If another tool deployed there, move them to a target of this project."
            if history.is_empty and not self.ledger.may_be_missing:
                raise NotVisibleError(
                    f"target {name} is not visible: {problem}\n    Ask for read access to "
                    f"{root}/ledger. {hint}"
                )
            raise RefusedError(Refusal.UNRECORDED_STATE, f"target {name}: {problem}\n    {hint}")
        return state

    def verified_release(self, release: str) -> tuple[Archive, Event]:
        """The stored archive of a verified release, and its newest `verified` event.

        Raises:
            DeliveryError: the target does not store the release.
            RefusedError: the archive has another digest than the release that was verified.
        """
        names = self.ledger.list_events()
        archive = self.store.open_stored(release)
        receipts = [
            self.ledger.read(n) for n in names if (n.kind, n.release) == ("verified", release)
        ]
        if {archive.manifest.digest} != {receipt.digest for receipt in receipts}:
            raise RefusedError(
                Refusal.OTHER_CONTENT,
                f"{release}: the archive is not the one that was verified on {self.target.name}",
            )
        return archive, receipts[-1]

    @contextlib.contextmanager
    def locked(
        self, operation: str, wait: float, break_lock: bool, progress: Progress
    ) -> Iterator[Lock]:
        """Hold the target's lock; see `Ledger.lock`.

        Args:
            break_lock: break the lock of another run.
            progress: reports the holder of the lock during the wait.
        """
        waiting = lambda holder: progress(f"waiting for the lock, held by {holder}")  # noqa: E731
        with self.ledger.lock(operation, wait, break_lock, waiting) as lock:
            if break_lock:  # the interrupted run may hold both locks
                self.store.break_cli_lock()
            yield lock

    def workdir(self) -> Path:
        """Lock the work folder of this process, where it opens releases for the target."""
        folder = self._workdirs / PROCESS_FOLDER
        lock_folder(folder)
        return folder

    @property
    def _workdirs(self) -> Path:
        return work_folder() / self.target.project / self.target.name

    def abandoned_workdirs(self) -> list[Path]:
        """Work folders of processes that ended early; they may contain state that was not saved."""
        folders = [f for f in self._workdirs.glob("*") if f.is_dir() and f.name != PROCESS_FOLDER]
        return [folder for folder in folders if not is_locked(folder)]

    def clear_workdir(self) -> None:
        """Remove what this process opened; its lock on the work folder stays."""
        shutil.rmtree(self.workdir(), ignore_errors=True)

    def remove_workdirs(self) -> None:
        """Remove the work folder of this process, and the abandoned ones."""
        for folder in (self.workdir(), *self.abandoned_workdirs()):
            shutil.rmtree(folder, ignore_errors=True)
            if folder.name != PROCESS_FOLDER:
                lock_file_of(folder).unlink(missing_ok=True)


def open_target(root: Path, target: str, archive: Archive | None = None) -> TargetContext:
    """Connect to a released target.

    Args:
        archive: the release to deploy; it is checked before any credential is used.

    Raises:
        DeliveryError: the policy requires another version of this tool, the target takes no
            releases, its workspace cannot be reached, or the release contains code that would run
            with this identity.
    """
    policy = load_policy(root)
    require_tool_version(policy)
    if target not in policy.released:
        raise DeliveryError(
            f"target: given {target!r}, expected a released target: {', '.join(policy.released)}"
        )
    address = require_configured_host(read_target(root, target, UNKNOWN_RELEASE))
    if archive:
        with tempfile.TemporaryDirectory() as folder:
            opened = open_archive(archive.content, Path(folder), archive.name)
            refuse_untrusted(opened.folder, target)
    checked_digest = archive.manifest.digest if archive else ""
    return TargetContext(root, address, policy, connect(address.host), checked_digest)
