"""Which files of the project are deployed, by the rules of `.gitignore` and `sync`."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_ALWAYS_LEFT_OUT = (".git/", ".databricks/")
_HEADERS = {
    ".py": b"# Databricks notebook source",
    ".r": b"# Databricks notebook source",
    ".scala": b"// Databricks notebook source",
    ".sql": b"-- Databricks notebook source",
}


class Rule(NamedTuple):
    """One line of a `.gitignore`."""

    base: str
    matches: re.Pattern[str]
    negated: bool
    folders_only: bool


class Snapshot:
    """Which files this folder uploaded to one place: the same ones are not uploaded again."""

    def __init__(self, folder: Path, place: str) -> None:
        name = hashlib.sha256(place.encode()).hexdigest()[:16]
        self._file = folder / "sync-snapshots" / f"{name}.json"

    def changed(self, root: Path, files: list[str]) -> list[str]:
        """The files that are newer than when they were uploaded."""
        known = json.loads(self._file.read_bytes()) if self._file.exists() else {}
        return [file for file in files if known.get(file) != (root / file).stat().st_mtime_ns]

    def keep(self, root: Path, files: list[str]) -> None:
        """Remember them."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        times = {file: (root / file).stat().st_mtime_ns for file in files}
        self._file.write_text(json.dumps(times), encoding="utf-8")


def selected(root: Path, include: Iterable[str], exclude: Iterable[str]) -> list[str]:
    """The files to deploy, relative to `root`, sorted."""
    ignored = [_rule("", line) for line in _ALWAYS_LEFT_OUT]
    chosen = set(_walk(root, "", ignored))
    added = [_rule("", pattern) for pattern in include]
    left_out = [_rule("", pattern) for pattern in exclude]
    everything = _walk(root, "", ignored, read=False) if added else []
    chosen |= {file for file in everything if _listed(file, added)}
    return sorted(file for file in chosen if not _listed(file, left_out))


def is_notebook(file: Path) -> bool:
    """Whether the workspace will make a notebook of it."""
    if file.suffix == ".ipynb":
        return True
    header = _HEADERS.get(file.suffix.lower())
    with file.open("rb") as content:
        return header is not None and content.readline().rstrip(b"\r\n") == header


def _walk(root: Path, folder: str, rules: list[Rule], read: bool = True) -> Iterator[str]:
    own = root / folder / ".gitignore"
    lines = own.read_text("utf-8").splitlines() if read and own.is_file() else []
    rules = rules + [_rule(folder, line) for line in lines if line and not line.startswith("#")]
    for path in sorted((root / folder).iterdir()):
        name = path.relative_to(root).as_posix()
        if _ignored(name, path.is_dir(), rules):
            continue
        if path.is_dir():
            yield from _walk(root, name, rules, read)
        elif path.is_file():
            yield name


def _ignored(name: str, folder: bool, rules: list[Rule]) -> bool:
    ignored = False
    for rule in rules:
        if name.startswith(rule.base) and (folder or not rule.folders_only):
            inside = name[len(rule.base) :].lstrip("/")
            ignored = not rule.negated if rule.matches.fullmatch(inside) else ignored
    return ignored


def _listed(file: str, rules: list[Rule]) -> bool:
    parts = file.split("/")
    paths = [("/".join(parts[: n + 1]), n + 1 < len(parts)) for n in range(len(parts))]
    return any(_ignored(path, folder, rules) for path, folder in paths)


def _rule(base: str, line: str) -> Rule:
    text = line.strip().removeprefix("!")
    folders_only, text = text.endswith("/"), text.rstrip("/")
    anchored = "/" in text
    expression = _expression(text.lstrip("/").removeprefix("./"))
    if not anchored:
        expression = f"(?:.*/)?{expression}"
    return Rule(base, re.compile(expression), line.startswith("!"), folders_only)


def _expression(glob: str) -> str:
    parts = re.split(r"(\*\*/|/\*\*|\*\*|\*|\?|\[[^\]]+\])", glob)
    known = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        known.get(part, part if part.startswith("[") else re.escape(part)) for part in parts
    )
