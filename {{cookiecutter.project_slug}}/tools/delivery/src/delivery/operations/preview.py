"""Previews: a separate environment for each pull or merge request."""

import contextlib
import math
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from delivery import git
from delivery.checks.untrusted import refuse_untrusted
from delivery.config.bundle import load_bundle
from delivery.config.includes import matching_paths
from delivery.config.policy import Policy, load_policy
from delivery.config.target import (
    PREVIEW_TARGET,
    UNKNOWN_RELEASE,
    Target,
    read_target,
    require_configured_host,
)
from delivery.errors import DeliveryError, FailedError, RefusedError
from delivery.refusals import Refusal
from delivery.release.archive import is_local_state
from delivery.release.build import build_environment
from delivery.target.workdir import work_folder
from delivery.workspace.bundle_cli import BundleCli
from delivery.workspace.client import Entry, Workspace, connect

_REQUEST = re.compile(r"[a-z][a-z0-9]{0,19}")
_DAY = 24 * 3600
_BUILD = ("make", "wheel")


@dataclass(frozen=True)
class Preview:
    """The preview of one request.

    Attributes:
        folder: a copy of the working tree, without local state of the CLI.
        request: the name of the preview, such as `pr42`.
    """

    folder: Path
    request: str
    workspace: Workspace
    target: Target

    def up(self) -> str:
        """Deploy the working tree; returns the address of the preview's folder."""
        self._cli().deploy_working_tree()
        return f"{self.target.host}/#workspace{self.target.root}"

    def down(self, break_lock: bool = False) -> None:
        """Delete the preview and all of its resources."""
        self._cli().destroy(break_lock)

    def _cli(self) -> BundleCli:
        variables = {"request": self.request}
        return BundleCli(self.folder, PREVIEW_TARGET, self.workspace, variables, released=False)


@contextlib.contextmanager
def open_preview(
    root: Path, request: str, workspace: Workspace | None = None, build: bool = False
) -> Iterator[Preview]:
    """The preview of a request, deployed or not.

    The project's code is built, and all files are checked, before any credential is used.

    Raises:
        DeliveryError: the name is not valid, or the build fails.
        RefusedError: the preview would run code with this identity, or touch a released target.
    """
    if not _REQUEST.fullmatch(request):
        raise DeliveryError(
            f"request: given {request!r}, expected a lowercase letter and up to 19 lowercase "
            "letters and digits, such as pr42"
        )
    if build:
        _build(root)
    with tempfile.TemporaryDirectory(dir=work_folder()) as name:
        folder = Path(name)
        _copy(root, folder)
        target = require_configured_host(read_target(folder, PREVIEW_TARGET, {"request": request}))
        policy = load_policy(folder)
        _refuse_released(folder, policy, target, request)
        refuse_untrusted(folder, PREVIEW_TARGET)
        workspace = workspace or connect(target.host)
        _refuse_identity(folder, policy, workspace.me)
        yield Preview(folder, request, workspace, target)


def _copy(root: Path, folder: Path) -> None:
    """Copy the files that git lists, and the built ones; no local state of git or the CLI."""
    listed = git.output(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    patterns = load_bundle(root).tree.section("sync").items_of("include")
    built = [file for pattern in patterns for file in matching_paths(root, str(pattern))]
    for file in dict.fromkeys([*filter(None, listed.split("\0")), *built]):
        source, copy = root / file, folder / file
        if source.is_symlink() or not source.resolve().is_relative_to(root.resolve()):
            raise _refused(
                f"given the link {file}, expected a file, because links are not copied",
                Refusal.LINKS,
            )
        if source.is_file() and not is_local_state(PurePosixPath(file)):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)


def sweep(root: Path, days: int) -> tuple[list[str], list[str]]:
    """Delete the previews that are older than some days.

    Their locks are broken, because a lock of that age is stale.

    Returns:
        The names of the deleted previews, and a reason for each that could not be deleted.
    """
    with open_preview(root, "x") as probe:
        folder = probe.target.root.rpartition("/")[0]
        limit = time.time() - days * _DAY if days else math.inf
        workspace = probe.workspace
        known = [entry for entry in workspace.list_dir(folder) if _REQUEST.fullmatch(entry.name)]
        old = [entry.name for entry in known if 0 < _last_change(workspace, entry) < limit]
    failed: dict[str, str] = {}
    for request in old:
        try:
            with open_preview(root, request, workspace) as preview:
                preview.down(break_lock=True)
        except DeliveryError as error:
            failed[request] = f"{request}: {error}"
    return [request for request in old if request not in failed], [*failed.values()]


def _last_change(workspace: Workspace, preview: Entry) -> float:
    """When a preview was deployed last, as Unix time; 0 if that is unknown."""
    entries = [preview, *workspace.list_dir(f"{preview.path}/state")]
    return max(max(entry.created, entry.modified) for entry in entries)


def _refuse_released(root: Path, policy: Policy, preview: Target, request: str) -> None:
    """Make sure that a preview has its own folder, catalog and names."""
    if not preview.root.endswith(f"/{request}"):
        raise _refused("root_path must end with ${var.request}")
    for name, path in preview.tree.section("workspace").items():
        if name.endswith("_path") and not f"{path}/".startswith(f"{preview.root}/"):
            raise _refused(f"{name} must be below root_path")
    presets = preview.tree.section("presets")
    if request not in str(presets.get("name_prefix", "")):
        raise _refused("presets.name_prefix must contain ${var.request}")
    if presets.get("trigger_pause_status") != "PAUSED":
        raise _refused("presets.trigger_pause_status must be PAUSED")
    for name in policy.released:
        other = read_target(root, name, UNKNOWN_RELEASE)
        if _catalogs(other) & _catalogs(preview):
            raise _refused(f"its catalog belongs to {name}")
        if preview.root.startswith(f"{other.root}/") or preview.root == other.root:
            raise _refused(f"root_path is in the folder of {name}")


def _refuse_identity(root: Path, policy: Policy, me: str) -> None:
    """Refuse to deploy unreviewed files with an identity that may change a released target."""
    for name in policy.released:
        target = read_target(root, name, UNKNOWN_RELEASE)
        if me in (target.deployer, target.runner, target.planner):
            raise _refused(
                f"given an identity of {name}, expected an identity for previews",
                Refusal.PREVIEW_IDENTITY,
            )


def _build(root: Path) -> None:
    """Build the wheel; the project's build code sees no credentials."""
    try:
        built = subprocess.run(
            _BUILD, cwd=root, env=build_environment(), capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise DeliveryError(f"{_BUILD[0]}: {error.strerror}, expected make on the PATH") from None
    if built.returncode:
        raise FailedError(f"{' '.join(_BUILD)}: {built.stderr.strip()}")


def _catalogs(target: Target) -> set[str]:
    resources = target.tree.section("resources")
    kinds = [resources.section(kind) for kind in ("schemas", "volumes", "pipelines")]
    entries = [kind.section(key) for kind in kinds for key in kind]
    return {str(e.get("catalog_name") or e.get("catalog")) for e in entries} - {"None"}


def _refused(reason: str, refusal: Refusal = Refusal.PREVIEW_NOT_SEPARATE) -> DeliveryError:
    return RefusedError(refusal, f"preview: {reason}; see targets/{PREVIEW_TARGET}.yml")
