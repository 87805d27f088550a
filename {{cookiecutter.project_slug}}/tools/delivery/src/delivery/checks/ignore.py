"""`ignore`: comments that accept a finding name its rule, and say why."""

from collections.abc import Iterator

from delivery.checks.registry import CheckContext, all_rules, rule
from delivery.config.closest import closest
from delivery.config.ignores import RULE, Comment, comments_of, wrong_comment
from delivery.errors import Finding


@rule(RULE)
def check_ignore(context: CheckContext) -> Iterator[Finding]:
    """Comments without a rule or a reason, and those that accept a finding that must be fixed."""
    for file in context.bundle.files:
        for comment in comments_of(context.root / file):
            if found := wrong_comment(file, comment):
                yield found
            else:
                yield from _unknown(file, comment)


def _unknown(file: str, comment: Comment) -> Iterator[Finding]:
    """Rules that do not exist."""
    known = all_rules()
    for name in comment.rules:
        if name not in known:
            near = closest(name, known)
            expected = near or "a name of delivery check --list-rules"
            message = f"ignore: given the rule {name}, expected {expected}"
            yield Finding(file, comment.line, RULE, message, f"Write {near or 'its name'}.")
