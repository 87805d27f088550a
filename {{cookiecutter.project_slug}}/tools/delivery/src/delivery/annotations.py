"""Findings for people, for machines, and for the two forges."""

import json
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Any

from delivery.errors import Finding


class Form(StrEnum):
    """How findings are shown."""

    TABLE = "table"
    JSON = "json"
    GITHUB = "github"
    GITLAB = "gitlab"


def formatted(findings: Sequence[Finding], form: Form) -> str:
    """All findings in one form; GitLab's is the report of code quality."""
    if form is Form.JSON:
        return json.dumps([finding.as_json() for finding in findings], indent=2)
    if form is Form.GITLAB:
        return json.dumps([_issue(finding) for finding in findings], indent=2)
    if form is Form.GITHUB:
        return "\n".join(map(_command, findings)) or "check: all is well"
    errors = sum(finding.severity == "error" for finding in findings)
    end = "" if errors else "check: all is well" + (", but for warnings" if findings else "")
    return "\n".join([*map(str, findings), *([end] if end else [])])


def _command(finding: Finding) -> str:
    """A workflow command; whatever a file contains stays one message."""
    place = f"file={_escaped(finding.file, True)},line={max(finding.line, 1)}"
    text = f"{finding.message}\n{finding.mend}".strip()
    return f"::{finding.severity} {place},title={finding.rule}::{_escaped(text)}"


def _escaped(text: str, is_property: bool = False) -> str:
    pairs = [("%", "%25"), ("\r", "%0D"), ("\n", "%0A")]
    for char, code in pairs + ([(":", "%3A"), (",", "%2C")] if is_property else []):
        text = text.replace(char, code)
    return text


def _issue(finding: Finding) -> dict[str, Any]:
    return {
        "description": f"{finding.message} {finding.mend}".strip(),
        "check_name": finding.rule,
        "fingerprint": sha256(repr(finding).encode()).hexdigest(),
        "severity": "major" if finding.severity == "error" else "info",
        "location": {"path": finding.file, "lines": {"begin": max(finding.line, 1)}},
    }
