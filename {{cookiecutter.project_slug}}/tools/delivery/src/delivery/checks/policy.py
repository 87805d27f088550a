"""`policy`: `delivery.yml` names existing targets. Its form is validated when it is read."""

from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.policy_file import removed_fields
from delivery.errors import Finding


@rule("policy", needs="bundle")
def check_policy(context: CheckContext) -> Iterator[Finding]:
    """Fields that have no effect, and targets that do not exist."""
    yield from removed_fields(context.root)
    known = ", ".join(context.bundle.targets) or "nothing"
    for name in context.policy.released:
        if name not in context.released:
            path = f"branches.targets.{name}"
            hint = f"Rename it, or add targets/{name}.yml."
            message = f"{path}: given {name}, expected one of {known}"
            yield context.policy_finding(path, "policy", message, hint)
