"""Comments that accept findings of their line, with a reason.

max_retries: 0  # delivery: ignore convention -- the source charges for each call
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from delivery.errors import Finding

RULE = "ignore"
_COMMENT = re.compile(
    r"#\s*delivery:\s*ignore\b\s*(?P<rules>[\w, ]*?)\s*(?:(?:--|—)\s*(?P<why>.*))?$"
)
# What protects others: the branch, the policy, secrets, and what an untrusted change may do.
NEVER = ("branch", "policy", "released", "run_as", "secret", "tool", "untrusted", "yaml")
_EXAMPLE = "# delivery: ignore convention -- the source charges for each call"


class Comment(NamedTuple):
    """A comment, and the line that it is about: its own, or the next if it stands alone."""

    line: int
    about: int
    rules: tuple[str, ...]
    why: str


def without_ignored(
    root: Path, findings: Iterable[Finding], files: Iterable[str], *, complete: bool
) -> Iterator[Finding]:
    """The findings; those that a comment accepts are of the severity `ignored`.

    Args:
        files: where comments are looked for.
        complete: every rule was run, so a comment without a finding is of no use.
    """
    found = list(findings)
    comments = {file: list(comments_of(root / file)) for file in files}
    used: set[tuple[str, int]] = set()
    for finding in found:
        accepted = [
            comment
            for comment in comments.get(finding.file, ())
            if finding.line == comment.about and finding.rule in comment.rules and comment.why
        ]
        if accepted and finding.rule not in NEVER:
            used.add((finding.file, accepted[0].line))
            message = f"{finding.message} (ignored: {accepted[0].why})"
            yield replace(finding, severity="ignored", message=message)
        else:
            yield finding
    for file, ones in comments.items():
        for comment in ones:
            if complete and (file, comment.line) not in used and not wrong_comment(file, comment):
                names = ", ".join(comment.rules)
                message = f"ignore: no finding of {names} in line {comment.about}"
                hint = "Remove the comment."
                yield Finding(file, comment.line, RULE, message, hint, "warning")


def comments_of(file: Path) -> Iterator[Comment]:
    """The comments of a file; none if it cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for number, line in enumerate(lines, start=1):
        match = _COMMENT.search(line) if "delivery:" in line else None
        if match:
            about = number if line[: match.start()].strip() else number + 1
            rules = tuple(re.findall(r"\w+", match["rules"]))
            yield Comment(number, about, rules, (match["why"] or "").strip())


def wrong_comment(file: str, comment: Comment) -> Finding | None:
    """What is wrong with a comment, whatever the findings are."""
    never = [name for name in comment.rules if name in NEVER]
    if not comment.rules or not comment.why:
        message = "ignore: expected the rules, and a reason after --"
        return Finding(file, comment.line, RULE, message, _EXAMPLE)
    if never:
        message = f"ignore: given {never[0]}, which cannot be ignored"
        return Finding(file, comment.line, RULE, message, "Fix what it finds.")
    return None
