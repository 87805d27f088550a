"""`CODEOWNERS`: who is asked to review."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

OWNERS_FILE = "CODEOWNERS"
NO_OWNER = "@example/"  # how placeholders begin


class CodeOwner(NamedTuple):
    """A code owner, and the first line that names it."""

    name: str
    line: int


def code_owners(root: Path) -> list[CodeOwner]:
    """Each code owner once, in the order of the file; none if there is no file."""
    first: dict[str, int] = {}
    for number, words in _lines(root):
        for owner in words[1:]:
            first.setdefault(owner, number)
    return [CodeOwner(name, line) for name, line in first.items()]


def _lines(root: Path) -> Iterator[tuple[int, list[str]]]:
    """The words of each line, without comments, and its number."""
    file = root / OWNERS_FILE
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    for number, line in enumerate(lines, start=1):
        yield number, line.partition("#")[0].split()
