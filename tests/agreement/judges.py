"""What the CLI and `delivery check` say of a folder with a bundle."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from delivery.checks.registry import CheckContext, all_rules

# Rules about conventions of the project, which the CLI knows nothing about.
HOUSE_RULES = frozenset(
    (
        *("branch", "catalog", "cli", "contract", "convention", "identity", "ignore", "include"),
        *("literal", "naming", "notification", "parity", "placeholder", "policy", "released"),
        *("run_as", "secret", "tags", "tool", "untrusted", "verify", "wheel"),
    )
)
_DIAGNOSTIC = re.compile(r"^(Error|Warning|Recommendation): ", re.MULTILINE)
_PLACE = re.compile(r"(?:^  in |\()([^\s():]+\.(?:ya?ml|json)):(\d+)", re.MULTILINE)
# What the CLI says about this machine, the emulated workspace or how a bundle is set up.
_ELSEWHERE = re.compile(
    r"hostmetadata|There are no files to sync|Pattern .* does not match any files"
    r"|workspace folder has permissions"
)


@dataclass(frozen=True)
class Said:
    """One thing that somebody says of a bundle."""

    severity: str
    text: str
    file: str = ""
    line: int = 0
    hint: str = ""


def ask_cli(folder: Path, target: str, program: str, environment: Mapping[str, str]) -> list[Said]:
    """The errors and warnings of `bundle validate`."""
    command = [program, "bundle", "validate", "--target", target]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    parts = _DIAGNOSTIC.split(done.stderr + "\n" + done.stdout)[1:]
    said = []
    for severity, text in zip(parts[::2], parts[1::2], strict=True):
        if severity != "Recommendation" and not _ELSEWHERE.search(text):
            place = _PLACE.search(text)
            file, line = (place[1], int(place[2])) if place else ("", 0)
            said.append(Said(severity.lower(), " ".join(text.split()), file, line))
    if done.returncode and "Error" not in parts[::2]:
        said.append(Said("error", done.stderr.strip()[-400:]))
    return said


def ask_check(folder: Path, target: str) -> list[Said]:
    """The findings of the rules that the CLI has, too, about one target."""
    context = CheckContext(folder)
    found = set(context.bundle.broken)
    for name, rule in all_rules().items():
        if name not in HOUSE_RULES:
            found |= set(
                rule.check(context) if rule.scope == "project" else rule.check(context, target)
            )
    others = rf"no value on (?!.*(?<![\w-]){re.escape(target)}(?![\w-]))"
    mine = [finding for finding in sorted(found) if not re.search(others, finding.message)]
    return [Said(f.severity, f.message, f.file, f.line, f.hint) for f in mine]
