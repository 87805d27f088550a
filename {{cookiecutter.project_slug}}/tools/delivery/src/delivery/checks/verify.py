"""`verify`: in each domain a job verifies every deploy."""

from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.bundle import domain_of, resources_of
from delivery.config.policy import Policy
from delivery.config.policy_file import POLICY_FILE
from delivery.config.yaml import YamlMapping
from delivery.errors import Finding


@rule("verify", scope="released", needs="bundle")
def check_verify(context: CheckContext, target: str) -> Iterator[Finding]:
    """Domains without a verification job, and verification jobs that may not end in time."""
    tree, policy = context.targets[target].tree, context.policy
    jobs = {key: mark for kind, key, _, mark in resources_of(tree) if kind == "jobs"}
    yield from _durations(tree, policy)
    for domain, job in policy.verify.jobs.items():
        if job not in jobs:
            known = ", ".join(jobs) or "none"
            message = f"verify.jobs.{domain}: given {job}, expected one of {known}"
            hint = "Name a job that exists, or remove the entry."
            yield context.policy_finding(f"verify.jobs.{domain}", "verify", message, hint)
    for domain in sorted({domain_of(mark.file) for mark in jobs.values()}):
        if domain and domain not in policy.verify.jobs:
            message = f"verify.jobs: no job for the domain {domain}, expected one of its jobs"
            hint = f"verify:\n      jobs:\n        {domain}: {domain}_daily"
            yield context.policy_finding("verify.jobs", "verify", message, hint)


def _durations(tree: YamlMapping, policy: Policy) -> Iterator[Finding]:
    """Jobs that may run longer than `verify.minutes`, which would roll back a good release."""
    minutes, paused = policy.verify.minutes, tree.section("presets").get("trigger_pause_status")
    for kind, key, job, mark in resources_of(tree):
        domains = [d for d, name in policy.verify.jobs.items() if (kind, name) == ("jobs", key)]
        seconds = job.get("timeout_seconds", 0)
        if domains and isinstance(seconds, int) and not 0 < seconds <= minutes * 60:
            file, line = job.marks.get("timeout_seconds", mark)
            message = (
                f"jobs.{key}: timeout_seconds: given {seconds or 'none'}, expected at most "
                f"{minutes * 60}, because verify.minutes of {POLICY_FILE} is {minutes}"
            )
            hint = (
                f"timeout_seconds: {minutes * 60}. For longer runs: raise verify.minutes, or name "
                f"another job of {domains[0]} in verify.jobs"
            )
            yield Finding(file, line, "verify", message, hint)
        if domains and "continuous" in job and paused != "PAUSED":
            file, line = job.marks["continuous"]
            message = f"jobs.{key}: verifies {domains[0]}, but is continuous and never ends"
            hint = f"Name a job that ends in verify.jobs of {POLICY_FILE}."
            yield Finding(file, line, "verify", message, hint)
