"""The ids of a target's service principals, written into its file instead of placeholders."""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from delivery.config.bundle import load_bundle
from delivery.errors import DeliveryError
from delivery.scaffold.changes import Change

_SET_ME = re.compile(r"\s+# set me(?=\s*$)")  # the template's mark of a placeholder


def changed_ids(root: Path, target: str, ids: Mapping[str, str]) -> list[Change]:
    """The files of a target with the ids of its variables; all else stays as it is.

    Raises:
        DeliveryError: a file has another form.
    """
    marks, texts = load_bundle(root).target(target).section("variables").marks, dict[str, str]()
    for name, value in ids.items():
        if name not in marks:
            raise _other_form(f"targets/{target}.yml", target, name, value)
        file, line = marks[name].file, marks[name].line
        text = texts.get(file) or (root / file).read_bytes().decode()
        texts[file] = _with_value(text, line - 1, name, value)
        expected = yaml.safe_load(text)
        expected["targets"][target]["variables"][name] = value
        if not _holds(texts[file], expected):
            raise _other_form(file, target, name, value)
    return [
        Change("edit", file, text.encode(), (root / file).read_bytes())
        for file, text in texts.items()
    ]


def _with_value(text: str, at: int, name: str, value: str) -> str:
    """A text with another value in one line, which stays as it is if it has another form."""
    lines = text.split("\n")
    found = re.fullmatch(rf"""(\s*{name}:\s*)(["']?)[^\s"'#]*\2(\s*(?:#.*)?)""", lines[at])
    if found:
        lines[at] = f"{found[1]}{found[2]}{value}{found[2]}{_SET_ME.sub('', found[3])}"
    return "\n".join(lines)


def _holds(text: str, expected: object) -> bool:
    """Whether a text of YAML has this content."""
    try:
        return bool(yaml.safe_load(text) == expected)
    except yaml.YAMLError:
        return False


def _other_form(file: str, target: str, name: str, value: str) -> DeliveryError:
    return DeliveryError(
        f"{file}: expected one line for {name} in targets.{target}.variables\n"
        f"    Write it: {name}: {value}"
    )
