"""A target with everything that commands need of it: one workspace, one identity."""

import contextlib
import fcntl
import getpass
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from delivery import environment
from delivery.errors import DeliveryError, Exit, NoAccessError
from delivery.forbidden import refuse_forbidden
from delivery.ledger import Event, Ledger, Standing
from delivery.policy import Policy, load_policy
from delivery.release.archive import Archive, open_archive
from delivery.store import State, Store
from delivery.target import Target, own_host, read_target
from delivery.workspace import Job, Workspace, connect

# A number of a process means nothing in another container that shares the cache; a lock does.
_PROCESS = uuid.uuid4().hex
_HELD: dict[Path, int] = {}  # open for as long as this process lives

# Until a release is opened its own variables are not known; they are in no address.
UNKNOWN = {"release": "", "wheel": ""}


@dataclass(frozen=True)
class Site:
    """A released target as seen from a checkout of the project.

    Attributes:
        root: the checkout.
        policy: the checkout's own.
        judged: the digest of the release that was judged before any credential was used.
    """

    root: Path
    target: Target
    policy: Policy
    workspace: Workspace
    judged: str = ""
    store: Store = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "store", Store(self.workspace, self.target))
        object.__setattr__(self, "ledger", Ledger(self.workspace, self.target))

    def running(self, standing: Standing) -> Event | None:
        """The event that delivered what runs; None when nothing was delivered yet."""
        return self.ledger.read(standing.delivered) if standing.delivered else None

    def lost(self, jobs: Iterable[Job]) -> list[Job]:
        """Those jobs that a delivery of ours made: by who made them, and when."""
        during, makers = self.ledger.under_way(), (self.target.deployer, self.workspace.me)
        return [job for job in jobs if job.creator in makers and during(job.created)]

    def check_seen(self, may_be_new: bool = False) -> None:
        """Make sure that this is the target we mean, and that we can see it.

        Args:
            may_be_new: whoever asks says that nothing was ever delivered there.

        Raises:
            DeliveryError: it cannot be seen, or it is another project's.
        """
        self.store.check_marker(may_be_missing=may_be_new)
        self.ledger.is_new = may_be_new

    def state(self, standing: Standing) -> State:
        """What the CLI's state says; ledger and state must know of each other.

        Raises:
            NoAccessError: one of them says that the other is not all that there is.
            DeliveryError: another tool deployed there.
        """
        state, name, root = self.store.state(), self.target.name, self.target.root
        if standing.delivered and not state.content:
            raise NoAccessError(
                f"target {name}: cannot be seen: its ledger says that {standing.running} runs, and "
                f"there is no state in {root}/state\n    Ask for the right to read this folder."
            )
        if state.entries and not standing.explained:
            told = f"{root}/state knows {len(state.entries)} resources that no event explains"
            mend = "If another tool deployed there, move them to a target of this project."
            if standing.is_empty and not self.ledger.is_new:
                raise NoAccessError(
                    f"target {name}: cannot be seen: {told}\n    Ask for the right to read "
                    f"{root}/ledger. {mend}"
                )
            raise DeliveryError(f"target {name}: {told}\n    {mend}", Exit.REFUSED)
        return state

    @property
    def work(self) -> Path:
        """Where this process opens releases for the target; nobody else does while it lives."""
        work = self._works / _PROCESS
        _hold(work)
        return work

    @property
    def _works(self) -> Path:
        return work_folder() / self.target.project / self.target.name

    def abandoned(self) -> list[Path]:
        """Work folders of processes that are gone: what they knew of their work is still there."""
        folders = [f for f in self._works.glob("*") if f.is_dir() and f.name != _PROCESS]
        return [folder for folder in folders if not _is_held(folder)]

    def forget(self) -> None:
        """Remove the work folders of this process and of those that are gone."""
        for folder in (self.work, *self.abandoned()):
            shutil.rmtree(folder, ignore_errors=True)
            if folder.name != _PROCESS:
                _lock_of(folder).unlink(missing_ok=True)


def open_site(root: Path, target: str, archive: Archive | None = None) -> Site:
    """Connect to a released target.

    Args:
        archive: the release that is to be delivered: it is judged before any credential is used.

    Raises:
        DeliveryError: it is none, it cannot be reached, it belongs to another project, or the
            release has what would run with this identity.
    """
    policy = load_policy(root)
    if target not in policy.released:
        raise DeliveryError(
            f"target: given {target!r}, expected one that takes releases: "
            f"{', '.join(policy.released)}"
        )
    address = own_host(read_target(root, target, UNKNOWN))
    if archive:
        with tempfile.TemporaryDirectory() as name:
            opened = open_archive(archive.content, Path(name), archive.name)
            refuse_forbidden(opened.folder, target)
    judged = archive.manifest.digest if archive else ""
    return Site(root, address, policy, connect(address.host), judged)


def work_folder() -> Path:
    """A folder of this user's, outside of every repository: the CLI obeys ignore files above it.

    Raises:
        DeliveryError: there is none.
    """
    home = environment.text("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    for base in (Path(home), Path(tempfile.gettempdir(), f"cache-{getpass.getuser()}")):
        folder = (base / "lakehouse-delivery").absolute()
        if not any((parent / ".git").exists() for parent in folder.parents):
            with contextlib.suppress(OSError):  # such as a home that cannot be written
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
                    return folder
    raise DeliveryError(
        "work folder: expected one that may be written, outside of git\n    Set XDG_CACHE_HOME to "
        "one, such as /var/tmp/delivery."
    )


def _lock_of(work: Path) -> Path:
    return work.with_name(f"{work.name}.lock")


def _hold(work: Path) -> None:
    """Lock a work folder, before it is made, for as long as this process lives."""
    if work not in _HELD:
        work.parent.mkdir(parents=True, exist_ok=True)
        _HELD[work] = os.open(_lock_of(work), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(_HELD[work], fcntl.LOCK_EX)


def _is_held(work: Path) -> bool:
    """Whether the process of a work folder lives, on this machine or in another container of it."""
    try:
        with _lock_of(work).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it has no lock
        return False
    return False


def named_keys(keys: list[str], reason: str) -> Mapping[str, str]:
    """Keys named for destruction, each with the reason.

    Raises:
        DeliveryError: there is no reason.
    """
    if keys and not reason.strip():
        raise DeliveryError(
            "--allow-destroy: expected a reason, such as --reason 'moved to volumes.raw'",
            Exit.BAD_INPUT,
        )
    return {key.removeprefix("resources."): reason for key in keys}
