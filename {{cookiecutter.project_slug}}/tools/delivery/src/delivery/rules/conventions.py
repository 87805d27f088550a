"""How things are called, who owns them, who is told, and what proves a delivery."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from delivery.bundle import Mark, Section
from delivery.errors import Finding
from delivery.policy import FILE, Policy

_TAGGED = ("jobs", "pipelines")


def resources(tree: Section) -> Iterator[tuple[str, str, Section, Mark]]:
    """Every resource with its kind, key and place."""
    kinds = tree.section("resources")
    for kind in kinds:
        for key in kinds.section(kind):
            yield kind, key, kinds.section(kind).section(key), kinds.section(kind).marks[key]


def _domain(file: str) -> str:
    """The domain of what stands in a file; empty outside of resources/."""
    folder = PurePosixPath(file).parent
    return folder.name if folder.parent == PurePosixPath("resources") else ""


def check_names(tree: Section, policy: Policy) -> Iterator[Finding]:
    """Keys start with their domain, and a job is called by its key."""
    for kind, key, resource, (file, line) in resources(tree):
        domain = _domain(file)
        pattern = policy.naming.keys.replace("{domain}", re.escape(domain))
        if not domain:
            message = f"{kind}.{key}: given {file}, expected a file in resources/DOMAIN/"
            mend = "Move it to a file such as resources/sales/jobs.yml."
            yield Finding(file, line, "naming", message, mend)
        elif not re.fullmatch(pattern, key):
            example = f"such as {domain}_{key.removeprefix(f'{domain}_')}"
            message = f"{kind}.{key}: given {key}, expected {pattern} ({example})"
            mend = f"Rename it; once delivered: delivery adopt TARGET NEW --from {kind}.{key}"
            yield Finding(file, line, "naming", message, mend)
        name = resource.get("name")
        if kind == "jobs" and name is not None and name != key:
            place = resource.marks["name"]
            message = f"jobs.{key}: given the name {name}, expected {key}, as it is keyed"
            yield Finding(place.file, place.line, "naming", message, f"Write name: {key}")


def check_tags(tree: Section, policy: Policy) -> Iterator[Finding]:
    """Every job and pipeline says what it belongs to."""
    presets = set(tree.section("presets").section("tags"))
    for kind, key, resource, (file, line) in resources(tree):
        missing = set(policy.naming.tags) - set(resource.section("tags")) - presets
        if kind in _TAGGED and missing:
            message = f"{kind}.{key}: given no tag {', '.join(sorted(missing))}"
            mend = "tags:\n      project: ${bundle.name}\n      domain: sales"
            yield Finding(file, line, "tags", message, mend)


def check_notifications(tree: Section) -> Iterator[Finding]:
    """Somebody is told when a job fails."""
    for kind, key, resource, (file, line) in resources(tree):
        told = [resource.section(f"{way}_notifications") for way in ("email", "webhook")]
        if kind == "jobs" and not any(way.get("on_failure") for way in told):
            message = f"jobs.{key}: nobody is told when it fails"
            mend = 'email_notifications:\n      on_failure: ["${var.owner}"]'
            yield Finding(file, line, "notification", message, mend)


def check_verification(tree: Section, policy: Policy) -> Iterator[Finding]:
    """Each domain that has jobs names the one that proves a delivery, and it ends in time."""
    jobs = {key: mark for kind, key, _, mark in resources(tree) if kind == "jobs"}
    yield from _ends(tree, policy)
    for domain, job in policy.verify.jobs.items():
        if job not in jobs:
            known = ", ".join(jobs) or "none"
            message = f"verify.jobs.{domain}: given {job}, expected one of {known}"
            yield Finding(FILE, 0, "verify", message, "Name a job that is there, or remove it.")
    for domain in sorted({_domain(mark.file) for mark in jobs.values()}):
        if domain and domain not in policy.verify.jobs:
            message = f"verify.jobs: given nothing for {domain}, expected one of its jobs"
            mend = f"verify:\n      jobs:\n        {domain}: {domain}_daily"
            yield Finding(FILE, 0, "verify", message, mend)


def _ends(tree: Section, policy: Policy) -> Iterator[Finding]:
    """A run that may take longer than its verification would take a good release back."""
    minutes, paused = policy.verify.minutes, tree.section("presets").get("trigger_pause_status")
    for kind, key, job, mark in resources(tree):
        domains = [d for d, name in policy.verify.jobs.items() if (kind, name) == ("jobs", key)]
        seconds = job.get("timeout_seconds", 0)
        if domains and isinstance(seconds, int) and not 0 < seconds <= minutes * 60:
            file, line = job.marks.get("timeout_seconds", mark)
            message = (
                f"jobs.{key}: timeout_seconds: given {seconds or 'none'}, expected at most "
                f"{minutes * 60}: verify.minutes of {FILE} is {minutes}"
            )
            mend = (
                f"timeout_seconds: {minutes * 60}. If it needs more: a longer verify.minutes, or "
                f"another job of {domains[0]} in verify.jobs"
            )
            yield Finding(file, line, "verify", message, mend)
        if domains and "continuous" in job and paused != "PAUSED":
            file, line = job.marks["continuous"]
            message = f"jobs.{key}: verifies {domains[0]}, and is continuous: it is never free"
            mend = f"Name a job that ends in verify.jobs of {FILE}."
            yield Finding(file, line, "verify", message, mend)
