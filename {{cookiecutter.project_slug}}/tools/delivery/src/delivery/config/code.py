"""The project's Python code, as far as jobs refer to it. It is parsed, never imported."""

import ast
import os
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from delivery.errors import Finding, InvalidFileError

RULE = "wiring"
_PROJECT = "pyproject.toml"


@dataclass(frozen=True)
class Signature:
    """The named parameters of a function."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names, required ones first."""
        return self.required + self.optional

    def __add__(self, other: "Signature") -> "Signature":
        return Signature(self.required + other.required, self.optional + other.optional)


class Code:
    """The entry points and functions of the project."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._functions: dict[str, dict[str, Signature]] = {}

    @cached_property
    def project(self) -> dict[str, Any]:
        """The `[project]` table of `pyproject.toml`, or the table of Poetry."""
        text = self._text(_PROJECT)
        try:
            document = tomllib.loads(text)
            table = document.get("project", document.get("tool", {}).get("poetry"))
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"line (\d+)", str(error))
            raise _unreadable(_PROJECT, int(line[1]) if line else 0, str(error)) from None
        if not isinstance(table, dict) or not isinstance(table.get("scripts", {}), dict):
            raise _unreadable(_PROJECT, 0, "expected [project], and its scripts as a table")
        return table

    def module_of(self, entry_point: str) -> str:
        """The module of a declared entry point."""
        return str(self.project["scripts"][entry_point]).partition(":")[0]

    def functions(self, module: str) -> dict[str, Signature]:
        """The public functions of a module, by name; empty if the module does not exist.

        The parameter `tables` is left out: the entry point passes it.
        """
        if module not in self._functions:
            self._functions[module] = self._parse(module)
        return self._functions[module]

    def _parse(self, module: str) -> dict[str, Signature]:
        file = f"src/{module.replace('.', '/')}.py"
        if not os.path.isfile(self._root / file):
            return {}
        try:
            body = ast.parse(self._text(file), file).body
        except SyntaxError as error:
            raise _unreadable(file, error.lineno or 0, error.msg) from None
        except (ValueError, RecursionError, MemoryError) as error:  # raised by odd source code
            raise _unreadable(file, 0, str(error)) from None
        functions = [node for node in body if isinstance(node, ast.FunctionDef)]
        return {f.name: _signature(f) for f in functions if not f.name.startswith("_")}

    def _text(self, file: str) -> str:
        try:
            return (self._root / file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(file, 0, str(error)) from None


def _signature(function: ast.FunctionDef) -> Signature:
    arguments = function.args
    named = [a.arg for a in [*arguments.posonlyargs, *arguments.args] if a.arg != "tables"]
    optional = named[len(named) - len(arguments.defaults) :] if arguments.defaults else []
    required = named[: len(named) - len(optional)]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        (required if default is None else optional).append(argument.arg)
    return Signature(tuple(required), tuple(optional))


def _unreadable(file: str, line: int, reason: str) -> InvalidFileError:
    hint = "Fix it: without this file the jobs cannot be compared with the code."
    return InvalidFileError(Finding(file, line, RULE, f"cannot be read: {reason}", hint))
