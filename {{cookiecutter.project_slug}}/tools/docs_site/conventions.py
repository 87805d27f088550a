"""The page of this project's conventions, made from `delivery.yml`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from delivery.config.policy import Policy, load_policy

from docs_site.text import code, plain, table

_LEAD = """\
What this project has agreed on, made from `delivery.yml`; `delivery check`, the git hooks, the
pipelines and each deploy enforce it. Every setting: [settings](settings.md). Why:
[which shape am I?](../choosing.md)"""
_APPROVALS = {
    "environment": "reviewers of the environment on GitHub or GitLab",
    "dispatch": "whoever starts the deploy with the digest of the plan",
    "none": "nobody",
}


def pages(root: Path) -> dict[str, tuple[str, str]]:
    """The page, by its path."""
    policy = load_policy(root)
    parts = [_branches(policy), _targets(policy), _jobs(policy), _guard(policy)]
    text = "\n\n".join(["# Conventions", _LEAD, *(line for part in parts for line in part)])
    return {"docs/reference/conventions.md": ("conventions", text + "\n")}


def _branches(policy: Policy) -> Iterator[str]:
    branches = policy.branches
    yield "## Branches"
    yield f"Changes are merged into {code(branches.integration)}."
    yield f"Protected, so changed by requests only: {_list(branches.protected)}."
    if branches.prefixes:
        names = (f"{prefix}/…" for prefix in branches.prefixes)
        yield f"Names of all other branches: {_list(names)}."


def _targets(policy: Policy) -> Iterator[str]:
    yield "## Targets"
    yield "In the order of promotion: each takes only a release that the one before verified."
    rows = [
        [
            code(target),
            code(branch),
            _APPROVALS[policy.approval_of(target)],
            "refused without an exception"
            if policy.guard.rights.get(target) == "refuse"
            else "shown in the plan",
            "; ".join(
                f"{freeze.first} to {freeze.last}: {plain(freeze.reason)}"
                for freeze in policy.freezes
                if target in freeze.targets
            ),
        ]
        for target, branch in policy.branches.targets.items()
    ]
    yield table(["target", "deploys from", "who approves", "changed rights are", "freezes"], rows)
    yield f"A plan is valid for {policy.plan_hours} hours."
    jobs = [f"{plain(domain)}: {code(job)}" for domain, job in policy.verify.jobs.items()]
    if jobs:
        limit = f"each within {policy.verify.minutes} minutes"
        yield f"After each deploy these jobs run, and must succeed, {limit}: {', '.join(jobs)}."
    if policy.may_differ:
        yield f"Only these paths may differ between targets: {_list(policy.may_differ)}."


def _jobs(policy: Policy) -> Iterator[str]:
    want = policy.conventions
    wanted = {
        "a time limit": want.timeout,
        "a queue, so that a run waits for the one before": want.queue,
        f"at most {want.max_concurrent_runs} of its runs at once": want.max_concurrent_runs,
        f"a schedule in the time zone {code(want.timezone)}": want.timezone,
        "a health rule that warns of long runs": want.duration_warning,
        f"at least {want.retries} more tries of each task that runs code or SQL": want.retries,
        f"the tags {_list(policy.naming.tags)}": policy.naming.tags,
    }
    yield "## Jobs"
    yield "Every job of these targets has:"
    yield "\n".join(f"- {text}" for text, is_wanted in wanted.items() if is_wanted)
    yield f"Its key, and that of every other resource, has this form: {code(policy.naming.keys)}."


def _guard(policy: Policy) -> Iterator[str]:
    guard = policy.guard
    yield "## Data"
    yield "A deploy that would lose data is refused: [refusals](../refusals.md#the-guard)."
    if guard.protected:
        yield f"Never destroyed, not even by an exception: {_list(guard.protected)}."
    most = f"{guard.jobs_deleted} jobs, and at most a fifth of all"
    yield f"A deploy deletes at most {most}, without an exception."
    rows = [[code(a.key), plain(a.reason), str(a.until)] for a in policy.allow]
    if rows:
        yield "Exceptions, each for one use:"
        yield table(["key", "reason", "until"], rows)
    ignored = f"; never reported: {_list(policy.drift.ignore)}" if policy.drift.ignore else ""
    yield f"Changes outside delivery are reported{ignored}."
    kept = f"{policy.release.keep} releases are kept for rollbacks"
    yield f"{kept}; a preview lives for {policy.preview_days} days."


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(code, names))
