"""Opens the release of a plan in its own folder and checks it against the target."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from delivery.checks.untrusted import refuse_untrusted
from delivery.config.policy import Policy, load_policy
from delivery.config.target import Target, read_target, require_configured_host
from delivery.errors import RefusedError
from delivery.plan.wal import restore_wal
from delivery.refusals import Refusal
from delivery.release import Archive, open_archive
from delivery.target.context import TargetContext


@dataclass(frozen=True)
class Candidate:
    """An opened release.

    Attributes:
        folder: contains its files.
        target: the target as the release itself declares it.
        policy: the release's own policy.
    """

    archive: Archive
    folder: Path
    target: Target
    policy: Policy


def open_candidate(context: TargetContext, archive: Archive, wal: Mapping[str, bytes]) -> Candidate:
    """Open a release in a fresh folder, because an older one may contain a stale state.

    Args:
        wal: the files of an interrupted CLI; see `recover_wal`.

    Raises:
        RefusedError: the release declares another workspace, folder or project than the checkout,
            or contains code that would run with the deployer's identity.
    """
    release = archive.manifest.release
    folder = context.workdir() / release
    context.clear_workdir()
    folder.mkdir(parents=True)
    open_archive(archive.content, folder, archive.name)
    restore_wal(folder, context.target.name, wal)
    target = require_configured_host(read_target(folder, context.target.name))
    _refuse_other_target(target, context.target, release)
    _refuse_other_folders(target, release)
    if context.checked_digest != archive.manifest.digest:
        refuse_untrusted(folder, target.name)
    return Candidate(archive, folder, target, load_policy(folder))


def _refuse_other_target(target: Target, expected: Target, release: str) -> None:
    for name in ("host", "root", "project", "bundle"):
        given, declared = getattr(target, name), getattr(expected, name)
        if given != declared:
            raise RefusedError(
                Refusal.OTHER_TARGET,
                f"{release}: {name} of {target.name}: given {given}, expected {declared}, as in "
                "this checkout",
            )


def _refuse_other_folders(target: Target, release: str) -> None:
    """Require the release's own folder for files, and the target's folder for the state."""
    folder, workspace = target.release_folder(release), target.tree.section("workspace")
    paths = {
        "file_path": f"{folder}/files",
        "artifact_path": f"{folder}/artifacts",
        "state_path": f"{target.root}/state",
        "resource_path": f"{target.root}/resources",
    }
    for name, expected in paths.items():
        given = workspace.get(name, expected)
        if given != expected:
            raise RefusedError(
                Refusal.OTHER_TARGET,
                f"{release}: workspace.{name} of {target.name}: given {given}, expected {expected}",
            )
