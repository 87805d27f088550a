"""Findings as text, as JSON, and as annotations of GitHub and GitLab."""

import json
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Any

from delivery.errors import Exit, Finding


class Format(StrEnum):
    """How findings are shown."""

    TABLE = "table"
    JSON = "json"
    GITHUB = "github"
    GITLAB = "gitlab"


def formatted(findings: Sequence[Finding], form: Format) -> str:
    """All findings in one form; for GitLab, its code quality report."""
    if form is Format.JSON:
        return json.dumps([finding.as_json() for finding in findings], indent=2)
    if form is Format.GITLAB:
        return json.dumps([_issue(finding) for finding in findings], indent=2)
    if form is Format.GITHUB:
        return "\n".join(map(_command, findings)) or "check: passed"
    lines = [str(finding) for finding in findings]
    if exit_code(findings) is Exit.DONE:
        warned = any(finding.severity == "warning" for finding in findings)
        lines.append("check: passed" + (", with warnings" if warned else ""))
    return "\n".join(lines)


def exit_code(findings: Sequence[Finding]) -> Exit:
    """The exit code of a check: warnings do not fail it."""
    failed = any(finding.severity == "error" for finding in findings)
    return Exit.FAILED if failed else Exit.DONE


def _command(finding: Finding) -> str:
    """A workflow command of GitHub; file content cannot start another one."""
    location = f"file={_escaped(finding.file, True)},line={max(finding.line, 1)}"
    text = f"{finding.message}\n{finding.hint}".strip()
    severity = "notice" if finding.severity == "ignored" else finding.severity
    return f"::{severity} {location},title={finding.rule}::{_escaped(text)}"


def _escaped(text: str, is_property: bool = False) -> str:
    codes: dict[str, str | int | None] = {"%": "%25", "\r": "%0D", "\n": "%0A"}
    if is_property:
        codes |= {":": "%3A", ",": "%2C"}
    return text.translate(str.maketrans(codes))


def _issue(finding: Finding) -> dict[str, Any]:
    return {
        "description": f"{finding.message} {finding.hint}".strip(),
        "check_name": finding.rule,
        "fingerprint": sha256(repr(finding).encode()).hexdigest(),
        "severity": "major" if finding.severity == "error" else "info",
        "location": {"path": finding.file, "lines": {"begin": max(finding.line, 1)}},
    }
