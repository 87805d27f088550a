"""Reads notebooks: the source format of Databricks, and `.ipynb`."""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIXES = (".py", ".sql", ".ipynb")
OTHER_LANGUAGES = (".scala", ".r", ".R")
_HEADER = "Databricks notebook source"
_PREFIXES = {".py": "#", ".sql": "--", ".scala": "//", ".r": "#"}
_LANGUAGES = {".py": "python", ".sql": "sql"}
_MAGIC = re.compile(r"%(\w+)[ \t]*")
# Magics that set up a notebook; what they set up is there, or does not matter here.
_IGNORED = ("autoreload", "config", "load_ext", "matplotlib", "pip", "reload_ext")


class NotebookError(ValueError):
    """A notebook cannot be read."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class OtherLanguageError(NotebookError):
    """A notebook has a cell that does not run here."""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        language: `python`, `sql`, `run` or `ignored`.
        text: its code; the path and arguments of `%run`; what is ignored.
        line: the line of the file in which its text starts, from 1; 0 if the file has no lines.
        number: its number in the notebook, from 1.
    """

    language: str
    text: str
    line: int
    number: int


def read_notebook(path: Path) -> list[Cell]:
    """The cells of a notebook, without those that only describe it.

    Raises:
        NotebookError: it is no notebook.
        OtherLanguageError: a cell is of a language that does not run here.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise NotebookError(0, f"cannot be read: {error}") from None
    raw = _of_ipynb(text) if path.suffix == ".ipynb" else _of_source(text, path.suffix)
    cells = list[Cell]()
    for number, (language, code, line) in enumerate(raw, 1):
        cells += _cells(language, code, line, number)
    return cells


def _of_source(text: str, suffix: str) -> Iterator[tuple[str, str, int]]:
    """The cells of the source format: their language, text and first line."""
    prefix, lines = _PREFIXES[suffix], text.splitlines()
    if not lines or lines[0].rstrip() != f"{prefix} {_HEADER}":
        raise NotebookError(1, f"the first line is not `{prefix} {_HEADER}`, so it is no notebook")
    separator = re.compile(rf"{re.escape(prefix)} COMMAND -+\s*")
    start, cell = 2, list[str]()
    for number, line in enumerate([*lines[1:], f"{prefix} COMMAND ---"], 2):
        if separator.fullmatch(line):
            yield _of_cell(cell, start, prefix, _LANGUAGES[suffix])
            start, cell = number + 1, []
        else:
            cell.append(line)


def _of_cell(lines: Sequence[str], start: int, prefix: str, language: str) -> tuple[str, str, int]:
    magic = re.compile(rf"{re.escape(prefix)} MAGIC ?")
    found = [line for line in lines if magic.match(line)]
    if not found:
        return language, "\n".join(lines), start
    first = next(n for n, line in enumerate(lines) if magic.match(line))
    return language, "\n".join(magic.sub("", line, count=1) for line in found), start + first


def _of_ipynb(text: str) -> Iterator[tuple[str, str, int]]:
    try:
        document = json.loads(text)
        cells, metadata = document["cells"], document.get("metadata", {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotebookError(0, f"not a notebook of Jupyter: {error}") from None
    own = metadata.get("application/vnd.databricks.v1+notebook", {})
    language = str(own.get("language", "python"))
    for cell in cells:
        if cell.get("cell_type") == "code":
            yield language, _joined(cell.get("source", "")), 0


def _joined(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


def _cells(language: str, code: str, line: int, number: int) -> Iterator[Cell]:
    """The parts of a cell: its magic decides its language."""
    stripped = code.lstrip()
    if not stripped:
        return
    skipped = code[: len(code) - len(stripped)].count("\n")
    start = line + skipped if line else 0
    magic = _MAGIC.match(stripped)
    if not magic:
        yield from _of_language(language, code, line, number)
        return
    word, rest = magic[1], stripped[magic.end() :]
    if word in ("md", "md-sandbox"):
        return
    if word == "run":
        path, _, below = rest.partition("\n")
        yield Cell("run", path.strip(), start, number)
        yield from _cells("python", below, start + 1 if start else 0, number)
    elif word in ("sql", "python"):
        below = rest.removeprefix("\n")
        offset = start + (rest != below) if start else 0
        yield from _of_language(word, below, offset, number)
    elif word in _IGNORED:
        first, _, below = stripped.partition("\n")
        yield Cell("ignored", first.strip(), start, number)
        yield from _cells("python", below, start + 1 if start else 0, number)
    else:
        raise OtherLanguageError(start, f"a cell of %{word} does not run here (cell {number})")


def _of_language(language: str, code: str, line: int, number: int) -> Iterator[Cell]:
    if language == "sql":
        yield Cell("sql", code, line, number)
    elif language == "python":
        yield from _of_python(code, line, number)
    else:
        raise OtherLanguageError(line, f"a cell of {language} does not run here (cell {number})")


def _of_python(code: str, line: int, number: int) -> Iterator[Cell]:
    """A cell of Python; lines that only IPython knows are ignored, and keep their place."""
    if not _is_python(code):
        lines = code.split("\n")
        for place, text in enumerate(lines):
            magic = _MAGIC.match(text)
            if magic and magic[1] in _IGNORED:
                yield Cell("ignored", text.strip(), line + place if line else 0, number)
                lines[place] = ""
            elif magic or text.startswith("!"):
                at = line + place if line else 0
                raise OtherLanguageError(at, f"{text.strip()} does not run here (cell {number})")
        code = "\n".join(lines)
    if code.strip():
        yield Cell("python", code, line, number)


def _is_python(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True


def parse_run(text: str) -> tuple[str, dict[str, str]]:
    """The path and the arguments of `%run ./other $day="2026-01-01"`."""
    path = re.match(r"""\s*(?:"([^"]*)"|'([^']*)'|(\S*))""", text)
    arguments = re.findall(r"""\$(\w+)=(?:"([^"]*)"|'([^']*)'|(\S+))""", text)
    named = {name: a or b or c for name, a, b, c in arguments}
    return next((part for part in path.groups() if part), "") if path else "", named


def notebook_at(folder: Path, path: str) -> Path:
    """The notebook that another one in `folder` names, with or without its suffix.

    Raises:
        NotebookError: there is none.
    """
    for suffix in ("", *SUFFIXES):
        found = folder / f"{path}{suffix}"
        if found.is_file():
            return found.resolve()
    raise NotebookError(0, f"given {path}, expected a notebook beside it, such as ./{path}.py")


def check_notebook(path: Path, seen: tuple[Path, ...] = ()) -> None:
    """Read a notebook and all that it runs by `%run`.

    Raises:
        NotebookError: one of them cannot be read or run here, or they run each other; the text
            names it.
    """
    if path in seen:
        names = " → ".join(p.name for p in (*seen, path))
        raise NotebookError(0, f"%run: notebooks run each other: {names}")
    try:
        cells = read_notebook(path)
    except NotebookError as error:
        place = f"{path.name}:{error.line}" if error.line else path.name
        raise type(error)(error.line, f"{place}: {error}") from None
    for cell in cells:
        if cell.language == "run":
            check_notebook(notebook_at(path.parent, parse_run(cell.text)[0]), (*seen, path))
