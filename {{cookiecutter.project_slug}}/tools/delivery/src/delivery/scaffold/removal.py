"""The removal of a domain: its files and its lines, and nothing else."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from delivery.config.policy_file import POLICY_FILE
from delivery.errors import DeliveryError, RefusedError
from delivery.refusals import Refusal
from delivery.scaffold import edits
from delivery.scaffold.changes import Change, require_possible
from delivery.scaffold.domain import Edit, edited
from delivery.scaffold.names import (
    FOLDERS,
    LAYERS,
    PACKAGE,
    PAGES,
    domains_of,
    require_name,
    test_files,
)

_CACHE = "__pycache__"
_ROOT_FILES = ("databricks.yml", "targets")
_PAGE_SUFFIXES = (".md", ".py", ".sql", ".toml", ".yml", ".yaml", ".json", "Makefile", "CODEOWNERS")
_NOT_READ = ("tools", "node_modules", "dist", "build")


@dataclass(frozen=True)
class Removal:
    """What the removal of a domain does.

    Attributes:
        changes: deleted and edited files; data comes last.
        mentions: other files that name the domain, and how often.
    """

    changes: list[Change]
    mentions: dict[str, int]


def remove_domain(root: Path, name: str) -> Removal:
    """The changes that remove a domain. Nothing is written.

    Raises:
        RefusedError: the code or a resource of another domain refers to it.
        DeliveryError: there is no such domain, or a file cannot be removed.
    """
    require_name(name)
    domains = domains_of(root)
    if name not in domains:
        known = ", ".join(domains) or "none: the project has no domain"
        raise DeliveryError(f"domain: given {name}, expected one of {known}")
    own = list(_own_files(root, name, domains))
    shared = [
        Edit(POLICY_FILE, lambda text: edits.remove_job(text, name)),
        Edit(edits.OWNERS, lambda text: edits.remove_owner(text, name)),
        Edit(edits.INDEX, lambda text: edits.remove_page(text, name)),
        Edit(edits.IGNORED, lambda text: edits.remove_ignored(text, name)),
    ]
    changes = edited(root, shared)
    changes += [Change("delete", path) for path in own]
    require_possible(root, changes)
    places = list(_references(root, name, domains))
    if places:
        raise RefusedError(
            Refusal.DOMAIN_IN_USE,
            f"domain: {name} is used elsewhere, expected no other code or resource to refer to it\n"
            + "\n".join(f"    {place}" for place in places)
            + f"\n    Change these lines first, then run again: delivery remove domain {name}",
        )
    changed = {change.path: change.content for change in changes}
    return Removal(changes, dict(_mentions(root, name, changed)))


def is_listed(change: Change) -> bool:
    """Whether a change is shown: not that of compiled Python."""
    return _CACHE not in Path(change.path).parts


def _own_files(root: Path, name: str, domains: list[str]) -> Iterator[str]:
    """The files of the domain; those of data are the last."""
    *others, data = FOLDERS
    places = [f"{folder}/{name}" for folder in others]
    paths = [path for place in places for path in _below(root / place)]
    paths += [root / f"{PAGES}/{name}.md"] if (root / f"{PAGES}/{name}.md").is_file() else []
    paths += test_files(root, name, domains)
    for path in [*paths, *_below(root / data / name)]:
        yield path.relative_to(root).as_posix()


def _below(folder: Path) -> Iterator[Path]:
    """Every file below a folder; links are not followed."""
    if folder.is_symlink():
        yield folder
        return
    for place, folders, names in os.walk(folder):
        folders.sort()
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        yield from (Path(place) / name for name in sorted([*names, *links]))


def _references(root: Path, name: str, domains: list[str]) -> Iterator[str]:
    """The lines of other code, resources and targets that need the domain, with their places."""
    imports = re.compile(
        rf"^\s*(?:from\s+lakehouse\.{name}\b|import\s+lakehouse\.{name}\b"
        rf"|from\s+lakehouse\s+import\b.*\b{name}\b)"
    )
    layers = "|".join(LAYERS)
    names = re.compile(
        rf"\blakehouse\.{name}\b|\b{name}_(?:{layers})\b|\bresources\.\w+\.{name}_\w+"
        rf"|\b{name}\.(?:{layers})\b|\btask:\s*{name}\.|\.of\([\"']{name}[\"']"
    )
    for path in _files_of_others(root, name):
        relative = path.relative_to(root)
        inside = relative.parts[2] in domains if len(relative.parts) > 3 else False
        is_shared_code = relative.as_posix().startswith(f"{PACKAGE}/") and not inside
        patterns = [imports] if is_shared_code else [imports, names]
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            code = line.partition("#")[0]
            if any(pattern.search(code) for pattern in patterns):
                yield f"{relative.as_posix()}:{number}: {line.strip()[:100]}"


def _files_of_others(root: Path, name: str) -> Iterator[Path]:
    """The code and the configuration that are deployed, but for those of the domain."""
    places = [root / PACKAGE, root / "resources", *(root / place for place in _ROOT_FILES)]
    own = [root / folder / name for folder in FOLDERS]
    for place in places:
        for path in [place] if place.is_file() else sorted(_below(place)):
            is_text = path.suffix in (".py", ".yml", ".yaml", ".sql", ".ipynb")
            if is_text and path.is_file() and not any(map(path.is_relative_to, own)):
                yield path


def _mentions(root: Path, name: str, changed: dict[str, bytes]) -> Iterator[tuple[str, int]]:
    """Other files that name the domain, as they will be."""
    word = re.compile(rf"(?<![a-zA-Z0-9]){name}(?![a-zA-Z0-9])")
    for place, folders, names in os.walk(root):
        top = Path(place) == root
        hidden = [f for f in folders if f.startswith(".") and f not in (".github", ".gitlab")]
        gone = {*hidden, _CACHE, *(_NOT_READ if top else ())}
        folders[:] = sorted(f for f in folders if f not in gone)
        for file in sorted(names):
            path = (Path(place) / file).relative_to(root).as_posix()
            if not file.endswith(_PAGE_SUFFIXES) or (Path(place) / file).is_symlink():
                continue
            content = changed[path] if path in changed else (Path(place) / file).read_bytes()
            count = len(word.findall(content.decode(errors="replace")))
            if count:
                yield path, count
