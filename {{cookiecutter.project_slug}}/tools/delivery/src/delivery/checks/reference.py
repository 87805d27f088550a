"""`reference`: every `${...}` can be resolved."""

from collections.abc import Iterable

from delivery.checks.registry import CheckContext, rule
from delivery.errors import Finding


@rule("reference", scope="target", needs="bundle")
def check_reference(context: CheckContext, target: str) -> Iterable[Finding]:
    """References of a target that cannot be resolved."""
    return context.targets[target].findings
