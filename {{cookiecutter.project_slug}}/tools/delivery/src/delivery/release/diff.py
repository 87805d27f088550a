"""Compare the resolved configuration of two targets or two releases, offline."""

import re
import tempfile
from pathlib import Path
from typing import Any

from delivery.config.bundle import Bundle, load_bundle
from delivery.config.diff import Difference, differences
from delivery.config.policy import Policy, load_policy
from delivery.config.references import resolve
from delivery.config.yaml import YamlMapping
from delivery.errors import DeliveryError
from delivery.release import Archive, open_archive

# Paths that differ between any two releases.
_ALWAYS_DIFFERENT = re.compile(
    r"^[^.]+\.(bundle\.git|variables\.(release|wheel))\b|^files\[(release\.yml|dist/.*)\]$"
)


def diff_targets(root: Path, first: str, second: str) -> list[Difference]:
    """The differences between two targets of the project.

    Raises:
        DeliveryError: there is no such target.
    """
    bundle = load_bundle(root)
    for name in (first, second):
        if name not in bundle.targets:
            known = ", ".join(bundle.targets)
            raise DeliveryError(f"target: given {name!r}, expected one of {known}")
    return list(differences(_rendered(bundle, first), _rendered(bundle, second)))


def diff_releases(first: Archive, second: Archive) -> list[Difference]:
    """The differences between two releases: their configuration on each target, and their files.

    Values that differ between any two releases, such as the commit and the wheel, are left out.
    """
    trees: list[dict[str, Any]] = []
    policy: Policy | None = None
    with tempfile.TemporaryDirectory() as name:
        for number, archive in enumerate((first, second)):
            folder = Path(name, str(number))
            open_archive(archive.content, folder, archive.name)
            bundle, policy = load_bundle(folder), policy or load_policy(folder)
            known = [target for target in policy.released if target in bundle.targets]
            files = {f"[{path}]": e.sha256[:12] for path, e in archive.manifest.files.items()}
            trees.append({**{t: _rendered(bundle, t) for t in known}, "files": files})
    return [d for d in differences(trees[0], trees[1]) if not _ALWAYS_DIFFERENT.search(d.path)]


def _rendered(bundle: Bundle, target: str) -> YamlMapping:
    return resolve(bundle, target, {"release": "RELEASE", "wheel": "WHEEL"}).tree
