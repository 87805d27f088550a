"""`notification`: jobs notify a recipient of their failures."""

from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.bundle import resources_of
from delivery.errors import Finding


@rule("notification", scope="released", needs="root")
def check_notification(context: CheckContext, target: str) -> Iterator[Finding]:
    """Jobs without a recipient of failures."""
    tree = context.targets[target].tree
    for kind, key, resource, (file, line) in resources_of(tree):
        ways = [resource.section(f"{way}_notifications") for way in ("email", "webhook")]
        if kind == "jobs" and not any(way.get("on_failure") for way in ways):
            message = f"jobs.{key}: expected at least one recipient of failure notifications"
            hint = 'email_notifications:\n      on_failure: ["${var.owner}"]'
            yield Finding(file, line, "notification", message, hint)
