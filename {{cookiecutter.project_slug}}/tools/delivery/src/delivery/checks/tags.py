"""`tags`: jobs and pipelines have the tags of the policy."""

from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.bundle import domain_of, resources_of
from delivery.errors import Finding

_TAGGED = ("jobs", "pipelines")


@rule("tags", scope="released", needs="root")
def check_tags(context: CheckContext, target: str) -> Iterator[Finding]:
    """Jobs and pipelines without a tag that the policy requires."""
    tree, policy = context.targets[target].tree, context.policy
    presets = set(tree.section("presets").section("tags"))
    for kind, key, resource, (file, line) in resources_of(tree):
        missing = set(policy.naming.tags) - set(resource.section("tags")) - presets
        if kind in _TAGGED and missing:
            message = f"{kind}.{key}: given no tag {', '.join(sorted(missing))}"
            domain = domain_of(file) or "sales"
            hint = f"tags:\n      project: ${{bundle.name}}\n      domain: {domain}"
            yield Finding(file, line, "tags", message, hint)
