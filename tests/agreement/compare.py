"""Judge many resources at once by both, and list where they disagree."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agreement.explained import ALARMS, reason
from agreement.generate import known_names
from agreement.judges import Said, ask_check, ask_cli

_ROOT = """\
bundle: {name: agreement}
include: [resources/*.yml]
variables:
  known: {default: "7"}
targets:
  only:
    default: true
    workspace: {host: %s, root_path: /Workspace/agreement}
"""

POLICY = """\
project: {name: Agreement, compute: serverless, url: "https://example.com/team/agreement"}
branches: {integration: main, targets: {only: main}, prefixes: [feature]}
release: {include: [resources/]}
"""

LATER = "of a later version"  # what the CLI says because it is older than the models


@dataclass(frozen=True)
class Case:
    """A resource, and what was done to it."""

    kind: str
    key: str
    resource: Mapping[str, Any]
    what: str


@dataclass(frozen=True)
class Disagreement:
    """A case of which only one of the two says something."""

    case: Case
    cli: tuple[str, ...]
    check: tuple[str, ...]

    @property
    def is_explained(self) -> bool:
        """Whether `check` knows more, for known reasons alone."""
        return bool(self.check) and all(reason(ALARMS, text) for text in self.check)

    def __str__(self) -> str:
        who = "false alarm" if self.check else "miss"
        text = yaml.safe_dump(dict(self.case.resource), sort_keys=False, default_flow_style=True)
        said = "; ".join(self.check or self.cli)[:300]
        return f"{who}: {self.case.kind}: {self.case.what}\n    {said}\n    {text[:500]}"


def compare(
    cases: Sequence[Case], folder: Path, program: str, environment: Mapping[str, str]
) -> list[Disagreement]:
    """Every case on which the CLI and `delivery check` disagree."""
    write(folder, cases, environment["DATABRICKS_HOST"])
    ours = _by_key(ask_check(folder, "only"), cases)
    theirs = _judged_by_cli(list(cases), folder, program, environment)
    cases = [case for case in cases if LATER not in theirs.get(case.key, ())]
    return [
        Disagreement(case, tuple(theirs.get(case.key, ())), tuple(ours.get(case.key, ())))
        for case in cases
        if bool(theirs.get(case.key)) != bool(ours.get(case.key))
    ]


def _judged_by_cli(
    cases: list[Case], folder: Path, program: str, environment: Mapping[str, str]
) -> dict[str, list[str]]:
    """What the CLI says of each case.

    An error ends the CLI before its later checks, so cases with errors are left out and the others
    judged again, until there is none. If nobody knows whose error it is, each half is judged.
    """
    said_of: dict[str, list[str]] = {}
    while cases:
        write(folder, cases, environment["DATABRICKS_HOST"])
        said = ask_cli(folder, "only", program, environment)
        errors = _by_key([one for one in said if one.severity == "error"], cases)
        if "" in errors and len(errors) == 1 and len(cases) > 1:
            for half in (cases[::2], cases[1::2]):
                for key, texts in _judged_by_cli(half, folder, program, environment).items():
                    said_of.setdefault(key, []).extend(texts)
            break
        for key, texts in _by_key(said, cases).items():
            said_of.setdefault(key or cases[0].key if len(cases) == 1 else key, []).extend(texts)
        if not errors or len(cases) == 1:
            break
        cases = [case for case in cases if case.key not in errors]
    return said_of


def write(folder: Path, cases: Sequence[Case], host: str) -> None:
    """A bundle with one file for each case."""
    shutil.rmtree(folder / "resources", ignore_errors=True)
    (folder / "resources").mkdir(parents=True)
    (folder / "databricks.yml").write_text(_ROOT % host, encoding="utf-8")
    (folder / "delivery.yml").write_text(POLICY, encoding="utf-8")
    (folder / "resources/chart.lvdash.json").write_text("{}", encoding="utf-8")
    for case in cases:
        document = {"resources": {case.kind: {case.key: dict(case.resource)}}}
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        (folder / f"resources/{case.key}").mkdir()
        (folder / f"resources/{case.key}.yml").write_text(text, encoding="utf-8")


def _is_of_a_later_version(said: Said) -> bool:
    """Whether the CLI does not know what the models, which are newer, have."""
    unknown = re.match(r'unknown field: (\w+)|invalid value "(\w+)" for enum field', said.text)
    return unknown is not None and (unknown[1] or unknown[2]) in known_names()


def _by_key(said: Sequence[Said], cases: Sequence[Case]) -> dict[str, list[str]]:
    """What was said by the key of the resource; empty for what names none."""
    known = {case.key for case in cases}
    found: dict[str, list[str]] = {}
    for one in said:
        stem = Path(one.file).stem
        named = re.search(r"\b(c\d+)\b", one.text)
        key = stem if stem in known else named[1] if named and named[1] in known else ""
        said_in_full = f"{one.severity}: {one.text} {one.hint}".strip()
        text = LATER if _is_of_a_later_version(one) else said_in_full
        found.setdefault(key, []).append(text)
    return found
