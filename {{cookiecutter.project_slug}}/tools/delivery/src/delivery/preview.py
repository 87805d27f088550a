"""An environment for one request: up, down, and swept away when nobody needs it any more."""

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

from delivery.bundle import load
from delivery.bundle.includes import reached
from delivery.bundle_cli import BundleCli
from delivery.errors import DeliveryError, Exit
from delivery.forbidden import refuse_forbidden
from delivery.policy import Policy, load_policy
from delivery.release.archive import is_local_state
from delivery.release.build import surroundings
from delivery.site import work_folder
from delivery.target import Target, own_host, read_target
from delivery.workspace import Entry, Workspace, connect

TARGET = "preview"
_REQUEST = re.compile(r"[a-z][a-z0-9]{0,19}")
_DAY = 24 * 3600
_BUILD = ("make", "wheel")


@dataclass(frozen=True)
class Preview:
    """The preview of one request.

    Attributes:
        folder: a copy of the working tree in which nothing is left of the CLI's earlier work.
        request: what it is called after, such as `pr42`.
    """

    folder: Path
    request: str
    workspace: Workspace
    target: Target

    def up(self) -> str:
        """Deploy what stands in the working tree; the address of where it is."""
        self._cli.deploy_working_tree()
        return f"{self.target.host}/#workspace{self.target.root}"

    def down(self, break_lock: bool = False) -> None:
        """Remove everything that it made."""
        self._cli.destroy(break_lock)

    @property
    def _cli(self) -> BundleCli:
        variables = {"request": self.request}
        return BundleCli(self.folder, TARGET, self.workspace, variables, released=False)


@contextlib.contextmanager
def open_preview(
    root: Path, request: str, workspace: Workspace | None = None, build: bool = False
) -> Iterator[Preview]:
    """The preview of a request, whether it is up or not.

    The project's code is built, and all files are judged, before any credential is used.

    Raises:
        DeliveryError: the name is none, it cannot be built, it has what would run with this
            identity, or it would touch a released target.
    """
    if not _REQUEST.fullmatch(request):
        raise DeliveryError(
            f"request: given {request!r}, expected a letter and up to 19 letters and digits, "
            "such as pr42"
        )
    if build:
        _build(root)
    with tempfile.TemporaryDirectory(dir=work_folder()) as name:
        folder = Path(name)
        _copy(root, folder)
        target = own_host(read_target(folder, TARGET, {"request": request}))
        policy = load_policy(folder)
        _refuse_released(folder, policy, target, request)
        refuse_forbidden(folder, TARGET)
        here = workspace or connect(target.host)
        _refuse_identity(folder, policy, here.me)
        yield Preview(folder, request, here, target)


def _copy(root: Path, folder: Path) -> None:
    """The working tree as git sees it, with what was built; nothing that the CLI or git left."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    found = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=False)
    if found.returncode:
        raise DeliveryError(f"preview: git ls-files: {found.stderr.strip()}")
    patterns = load(root).tree.section("sync").items_of("include")
    built = [file for pattern in patterns for file in reached(root, str(pattern))]
    for file in dict.fromkeys([*filter(None, found.stdout.split("\0")), *built]):
        source, copy = root / file, folder / file
        if source.is_symlink() or not source.resolve().is_relative_to(root.resolve()):
            raise _refused(f"given the link {file}, expected a file: links do not travel")
        if source.is_file() and not is_local_state(PurePosixPath(file)):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)


def sweep(root: Path, days: int) -> tuple[list[str], list[str]]:
    """Take down all previews that are older than some days: those that went, and those that stay.

    One that cannot go keeps none of the others; nobody works on so old a one, so locks are broken.
    With 0 days all go, whatever this machine's clock says beside the workspace's.
    """
    with open_preview(root, "x") as any_preview:
        folder = any_preview.target.root.rpartition("/")[0]
        limit = time.time() - days * _DAY if days else math.inf
        workspace = any_preview.workspace
        known = [entry for entry in workspace.entries(folder) if _REQUEST.fullmatch(entry.name)]
        old = [entry.name for entry in known if 0 < _last_change(workspace, entry) < limit]
    stay: dict[str, str] = {}
    for request in old:
        try:
            with open_preview(root, request, workspace) as preview:
                preview.down(break_lock=True)
        except DeliveryError as error:
            stay[request] = f"{request}: {error}"
    return [request for request in old if request not in stay], [*stay.values()]


def _last_change(workspace: Workspace, preview: Entry) -> float:
    """When a preview was deployed last, as Unix time; 0 when nothing tells: folders may not."""
    entries = [preview, *workspace.entries(f"{preview.path}/state")]
    return max(max(entry.created, entry.modified) for entry in entries)


def _refuse_released(root: Path, policy: Policy, preview: Target, request: str) -> None:
    """A preview has a folder, a catalog and names of its own."""
    if not preview.root.endswith(f"/{request}"):
        raise _refused("its root_path must end with ${var.request}")
    for name, path in preview.tree.section("workspace").items():
        if name.endswith("_path") and not f"{path}/".startswith(f"{preview.root}/"):
            raise _refused(f"its {name} must be below its root_path")
    presets = preview.tree.section("presets")
    if request not in str(presets.get("name_prefix", "")):
        raise _refused("presets.name_prefix must have ${var.request} in it")
    if presets.get("trigger_pause_status") != "PAUSED":
        raise _refused("presets.trigger_pause_status must be PAUSED")
    for name in policy.released:
        other = read_target(root, name, {"release": "", "wheel": ""})
        if _catalogs(other) & _catalogs(preview):
            raise _refused(f"it has the catalog of {name}")
        if preview.root.startswith(f"{other.root}/") or preview.root == other.root:
            raise _refused(f"it is in the folder of {name}")


def _refuse_identity(root: Path, policy: Policy, me: str) -> None:
    """A request's files are never handled by who may change staging or prod."""
    for name in policy.released:
        target = read_target(root, name, {"release": "", "wheel": ""})
        if me in (target.deployer, target.runner, target.planner):
            raise _refused(f"given an identity of {name}, expected one of previews")


def _build(root: Path) -> None:
    """Build the wheel as the project does: its code sees no credentials of ours."""
    given = surroundings()
    try:
        built = subprocess.run(
            _BUILD, cwd=root, env=given, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise DeliveryError(f"{_BUILD[0]}: {error.strerror}, expected it on the PATH") from None
    if built.returncode:
        raise DeliveryError(f"{' '.join(_BUILD)}: {built.stderr.strip()}", Exit.FAILED)


def _catalogs(target: Target) -> set[str]:
    resources = target.tree.section("resources")
    kinds = [resources.section(kind) for kind in ("schemas", "volumes", "pipelines")]
    entries = [kind.section(key) for kind in kinds for key in kind]
    return {str(e.get("catalog_name") or e.get("catalog")) for e in entries} - {"None"}


def _refused(reason: str) -> DeliveryError:
    return DeliveryError(f"preview: {reason}, see targets/{TARGET}.yml", Exit.REFUSED)
