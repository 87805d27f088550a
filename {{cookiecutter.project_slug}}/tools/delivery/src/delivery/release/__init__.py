"""Releases: immutable archives, each built from one commit and verified when opened."""

from delivery.release.archive import Archive, Opened, open_archive, read_archive
from delivery.release.build import build, build_commit, checked_out, commit_of, tree_of
from delivery.release.manifest import ID, Manifest

__all__ = [
    "ID",
    "Archive",
    "Manifest",
    "Opened",
    "build",
    "build_commit",
    "checked_out",
    "commit_of",
    "open_archive",
    "read_archive",
    "tree_of",
]
