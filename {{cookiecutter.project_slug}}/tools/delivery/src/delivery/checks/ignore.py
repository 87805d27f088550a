"""`ignore`: comments that accept a finding name its rule, and say why."""

from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.ignores import RULE, comments_of, wrong_comment
from delivery.errors import Finding


@rule(RULE)
def check_ignore(context: CheckContext) -> Iterator[Finding]:
    """Comments without a rule or a reason, and those that accept what nobody may."""
    for file in context.bundle.files:
        for comment in comments_of(context.root / file):
            if found := wrong_comment(file, comment):
                yield found
