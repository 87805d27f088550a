"""`yaml` and `duplicate`: files that cannot be read, and resources that are declared twice.

Reading the bundle finds both, so every rule that reads it reports them.
"""

from collections.abc import Iterable

from delivery.checks.registry import CheckContext, rule
from delivery.errors import Finding


@rule("yaml")
def check_yaml(context: CheckContext) -> Iterable[Finding]:
    """Files of the bundle that are not valid YAML."""
    return [finding for finding in context.bundle.broken if finding.rule == "yaml"]


@rule("duplicate")
def check_duplicate(context: CheckContext) -> Iterable[Finding]:
    """Resources that are declared twice."""
    return [finding for finding in context.bundle.broken if finding.rule == "duplicate"]
