"""Releases: immutable archives, each built from one commit and verified when opened."""

from delivery.release.archive import Archive, OpenedRelease, open_archive, read_archive
from delivery.release.build import build, build_commit, checked_out_commit, commit_of, tree_of
from delivery.release.manifest import RELEASE_NAME, Manifest

__all__ = [
    "RELEASE_NAME",
    "Archive",
    "Manifest",
    "OpenedRelease",
    "build",
    "build_commit",
    "checked_out_commit",
    "commit_of",
    "open_archive",
    "read_archive",
    "tree_of",
]
