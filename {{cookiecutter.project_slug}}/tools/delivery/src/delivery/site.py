"""A target with everything that commands need of it: one workspace, one identity."""

import getpass
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from delivery.errors import DeliveryError, Exit
from delivery.forbidden import refuse_forbidden
from delivery.ledger import Event, Ledger, Standing
from delivery.policy import Policy, load_policy
from delivery.release.archive import Archive, open_archive
from delivery.store import Store
from delivery.target import Target, own_host, read_target
from delivery.workspace import Workspace, connect

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

    @property
    def work(self) -> Path:
        """Where this process opens releases for the target."""
        return self._works / str(os.getpid())

    @property
    def _works(self) -> Path:
        return work_folder() / self.target.project / self.target.name

    def abandoned(self) -> list[Path]:
        """Work folders of processes that are gone: what they knew of their work is still there."""
        return [folder for folder in self._works.glob("*") if not _is_alive(folder.name)]

    def forget(self) -> None:
        """Remove the work folders of this process and of those that are gone."""
        for folder in (self.work, *self.abandoned()):
            shutil.rmtree(folder, ignore_errors=True)


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
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    for base in (Path(home), Path(tempfile.gettempdir(), f"cache-{getpass.getuser()}")):
        folder = (base / "lakehouse-delivery").absolute()
        if not any((parent / ".git").exists() for parent in folder.parents):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid == os.getuid():
                return folder
    raise DeliveryError("work folder: expected one outside of git; set XDG_CACHE_HOME to one")


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


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
