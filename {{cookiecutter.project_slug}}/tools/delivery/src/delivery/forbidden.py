"""What nothing that is delivered may contain: it would run, or send credentials, when opened."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from delivery.bundle import Bundle, Section, load
from delivery.bundle_cli import BundleCli
from delivery.errors import DeliveryError, Exit, Finding

RULE = "forbidden"

# Scripts and builds run during a plan, with the token at hand; a secret's value lands in the plan
# in plain text; files from elsewhere would be uploaded.
_KEYS = ("artifacts", "experimental", "python", "scripts")
_WORKSPACE = ("host", "root_path", "file_path", "artifact_path", "state_path", "resource_path")


def forbidden(bundle: Bundle, target: str) -> Iterator[Finding]:
    """Every key of a released target that is refused, with its place."""
    tree = bundle.with_target(target)
    for path in _found(tree):
        section, key = _place(tree, path)
        mark = section.marks.get(key)
        file, line = (mark.file, mark.line) if mark else ("databricks.yml", 0)
        message = f"{'.'.join(path)} is refused for {target}: it would run with its identity"
        yield Finding(file, line, RULE, message, "Keep it to targets such as dev, in targets/.")


def refuse_forbidden(folder: Path, target: str) -> None:
    """Refuse an opened release before anything of it can run; both loaders are asked.

    Raises:
        DeliveryError: it has what a released target must not have.
    """
    bundle = load(folder)
    found = [str(f) for f in forbidden(bundle, target)] or outside(bundle.tree)
    if not found:
        merged = BundleCli(folder, target).merged()
        found = [f"{'.'.join(path)}, as the CLI reads it" for path in _found(merged)]
    if found:
        raise DeliveryError(f"refused for {target}:\n" + "\n".join(found), Exit.REFUSED)


def _found(tree: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    yield from ((key,) for key in _KEYS if tree.get(key))
    if _below(tree, "resources").get("secrets"):
        yield ("resources", "secrets")
    if _below(tree, "sync").get("paths") not in (None, ["."]):
        yield ("sync", "paths")
    yield from (("workspace", key) for key in _below(tree, "workspace") if key not in _WORKSPACE)


def _below(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A mapping of the tree; what is none is left to the CLI, which takes nothing else there."""
    value = tree.get(key)
    return value if isinstance(value, Mapping) else {}


def outside(tree: Section) -> list[str]:
    """Includes that reach out of the release."""
    patterns = [str(pattern) for pattern in tree.items_of("include")]
    paths = {pattern: PurePosixPath(pattern) for pattern in patterns}
    return [
        f"include {pattern} reaches out of the release"
        for pattern, path in paths.items()
        if path.is_absolute() or ".." in path.parts
    ]


def _place(tree: Section, path: tuple[str, ...]) -> tuple[Section, str]:
    for step in path[:-1]:
        tree = tree.section(step)
    return tree, path[-1]
