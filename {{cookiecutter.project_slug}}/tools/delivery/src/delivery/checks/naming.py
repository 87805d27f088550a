"""`naming`: keys of resources and names of jobs."""

import re
from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.bundle import domain_of, resources_of
from delivery.errors import Finding


@rule("naming", scope="released", needs="root")
def check_naming(context: CheckContext, target: str) -> Iterator[Finding]:
    """Keys that do not match the policy, and jobs whose name is not their key."""
    tree, policy = context.targets[target].tree, context.policy
    for kind, key, resource, (file, line) in resources_of(tree):
        domain = domain_of(file)
        pattern = policy.naming.keys.replace("{domain}", re.escape(domain))
        if not domain:
            message = f"{kind}.{key}: given {file}, expected a file in resources/DOMAIN/"
            hint = "Move it to a file such as resources/sales/jobs.yml."
            yield Finding(file, line, "naming", message, hint)
        elif not re.fullmatch(pattern, key):
            example = f"such as {domain}_{key.removeprefix(f'{domain}_')}"
            message = f"{kind}.{key}: given {key}, expected {pattern} ({example})"
            hint = f"Rename it. If it is deployed: delivery adopt TARGET NEW --from {kind}.{key}"
            yield Finding(file, line, "naming", message, hint)
        name = resource.get("name")
        if kind == "jobs" and name is not None and name != key:
            message = f"jobs.{key}: given the name {name}, expected the key, {key}"
            yield Finding(*resource.marks["name"], "naming", message, f"Write name: {key}")
