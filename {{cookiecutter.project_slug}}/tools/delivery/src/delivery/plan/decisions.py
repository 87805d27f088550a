"""Decides on a release as a whole: blocks, promotion, conflicts, orphans."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from delivery import git
from delivery.config.identities import run_as_in_cli_plan
from delivery.config.policy import Policy, Terms, Verify
from delivery.config.target import Target
from delivery.plan.candidate import Candidate
from delivery.plan.conflicts import ConflictFinder, ExistingResource
from delivery.plan.guard import GuardInput
from delivery.plan.model import Decision, ResourceChange, TableChange
from delivery.plan.receipt import receipt_problems
from delivery.plan.request import PlanRequest
from delivery.plan.snapshot import TargetSnapshot
from delivery.refusals import Refusal
from delivery.target.context import TargetContext
from delivery.target.events import Event
from delivery.workspace.bundle_cli import TESTED_VERSIONS, is_tested_version
from delivery.workspace.client import Job

_RELEASE_KEY = "policy"  # the key of decisions about the release as a whole


@dataclass(frozen=True)
class DecisionInput:
    """Everything that decisions about a release depend on.

    Attributes:
        policy: the stricter of the release's own policy and the running release's.
        terms: what the running release's policy demands, or the release's own if there is none.
        guard: includes the exceptions of the policy that are not used up.
        adopted: keys that were adopted and that the release does not declare; see `adopted_keys`.
        to_delete: the orphans, jobs that no state contains, that this deploy deletes.
    """

    context: TargetContext
    candidate: Candidate
    snapshot: TargetSnapshot
    request: PlanRequest
    policy: Policy
    terms: Terms
    guard: GuardInput
    conflicts: ConflictFinder
    adopted: Mapping[str, str]
    duplicates: Sequence[Job]
    to_delete: Sequence[Job]
    verification: Verify


def cli_decisions(version: str) -> Iterator[Decision]:
    """Warn of a version of the Databricks CLI that delivery was not tested with."""
    if not is_tested_version(version):
        tested = ", ".join(TESTED_VERSIONS)
        yield _warn(f"the Databricks CLI is {version}; this tool was tested with {tested}")


def release_decisions(inputs: DecisionInput) -> Iterator[Decision]:
    """Decide on the release as a whole; promotion rules do not apply to a rollback."""
    yield from _block_decisions(inputs)
    yield from _digest_decisions(inputs)
    if not inputs.verification.jobs:
        yield _warn("nothing verifies this release: verify.jobs of delivery.yml is empty")
    yield from _adopted_decisions(inputs)
    yield from _orphan_decisions(inputs)
    if not inputs.request.is_rollback:
        for decision in _promotion_decisions(inputs):
            preview = inputs.request.preview_only
            yield decision.model_copy(update={"action": "warn"}) if preview else decision


def _block_decisions(inputs: DecisionInput) -> Iterator[Decision]:
    release, target = inputs.candidate.archive.manifest.release, inputs.candidate.target.name
    history = inputs.snapshot.history
    if release in history.blocked:
        runs = f"it is still running; to roll back: delivery rollback {target} --reason …; "
        yield _deny(
            Refusal.BLOCKED,
            f"{release} is blocked: {inputs.snapshot.block_reason}; "
            f"{runs if release == history.running else ''}"
            f"once the cause is fixed: delivery unblock {target} {release} --reason …",
        )


def _digest_decisions(inputs: DecisionInput) -> Iterator[Decision]:
    """Refuse a release whose digest differs from the one that was verified here."""
    manifest, snapshot = inputs.candidate.archive.manifest, inputs.snapshot
    verified = manifest.release in snapshot.history.verified_releases
    if verified and snapshot.verified_digest != manifest.digest:
        yield _deny(
            Refusal.OTHER_CONTENT,
            f"{manifest.release} differs from the archive that was verified here under this name",
        )


def _adopted_decisions(inputs: DecisionInput) -> Iterator[Decision]:
    """Never delete a resource that a person made only because it was adopted."""
    for key in inputs.adopted:
        if inputs.request.is_rollback:
            reason = "was adopted after this release; rollback unbinds it and leaves it unchanged"
            yield Decision(key=key, action="warn", reason=reason)
        elif key not in inputs.request.allow_destroy:
            yield _deny(Refusal.ADOPTED, f"{key} was adopted, so the release must declare it")


def _orphan_decisions(inputs: DecisionInput) -> Iterator[Decision]:
    """Jobs that no state contains: left by an interrupted deploy, or duplicates."""
    target = inputs.candidate.target
    missing = target.declared - {*inputs.snapshot.state.entries}
    adopt = f"delivery adopt {target.name}"
    for job in inputs.conflicts.orphans:
        name = f"job {job.id} ({job.name})"
        if job in inputs.to_delete:
            yield _warn(
                f"{name} is left from an interrupted or failed deploy; this deploy deletes it"
            )
        elif job in inputs.duplicates:
            yield _deny(
                Refusal.DUPLICATE_JOB,
                f"{name} is a duplicate: it has the name and deployment of a job in the state, and "
                "no deploy was running when it was created; to keep it under its own key: "
                f"{adopt} jobs.KEY --id {job.id} --archive FILE --reason …; if it is not needed, "
                "delete it in the workspace",
            )
        elif inputs.conflicts.key_of(job) not in missing:
            yield _deny(
                Refusal.LEFT_BEHIND,
                f"{name} was created by an interrupted deploy; to keep it, with a release that "
                f"declares it: {adopt} --all --archive FILE --reason …",
            )


def _promotion_decisions(inputs: DecisionInput) -> Iterator[Decision]:
    """The policy's conditions for a target: order, freezes, branch and receipt."""
    own, policy = inputs.candidate.policy, inputs.policy
    manifest, target = inputs.candidate.archive.manifest, inputs.candidate.target.name
    running = inputs.snapshot.running
    if running and _is_older(inputs, running):
        yield _deny(
            Refusal.OLDER,
            f"{manifest.release} is older than the running release {running.release}; to roll "
            f"back: delivery rollback {target} {manifest.release} --reason …",
        )
    if target not in own.released:
        yield _deny(
            Refusal.NOT_RELEASED,
            f"{target} is not a released target in the delivery.yml of {manifest.release}",
        )
        return
    freeze = policy.active_freeze(target, datetime.now(UTC))
    exception = inputs.guard.exception("freeze")
    if freeze and exception:
        yield Decision(key="freeze", action="allow", reason=exception.reason)
    elif freeze:
        yield _deny(Refusal.FROZEN, f"{target} is frozen until {freeze.last}: {freeze.reason}")
    branches = [*own.branches.targets.values()]
    expected = dict.fromkeys(branches[: own.released.index(target) + 1])
    if manifest.branch not in expected:
        yield _deny(
            Refusal.WRONG_BRANCH,
            f"built on branch {manifest.branch}, expected {' or '.join(expected)}",
        )
    yield from _receipt_decisions(inputs)


def _receipt_decisions(inputs: DecisionInput) -> Iterator[Decision]:
    target = inputs.candidate.target.name
    source, running = (
        inputs.candidate.policy.previous_target(target),
        inputs.terms.previous_target(target),
    )
    waived = inputs.guard.exception("promotion")
    if running and waived and not source:
        yield Decision(key="promotion", action="allow", reason=waived.reason)
    elif source or running:
        receipt, name = inputs.request.receipt, str(source or running)
        for problem in receipt_problems(inputs.context, inputs.candidate, name, receipt):
            yield _deny(Refusal.NO_RECEIPT, problem)


def _is_older(inputs: DecisionInput, running: Event) -> bool:
    """Whether the running release is newer: by git if it has both, else by the commits' time."""
    root, manifest = inputs.context.root, inputs.candidate.archive.manifest
    if running.commit != manifest.commit:
        if git.is_ancestor(root, running.commit, manifest.commit):
            return False
        if git.is_ancestor(root, manifest.commit, running.commit):
            return True
    return bool(manifest.time < running.detail.get("time", 0))


def existing_resource_decisions(
    target: str, found: Sequence[ExistingResource]
) -> Iterator[Decision]:
    """Refuse to create resources that exist already."""
    options = "--archive FILE --reason …"
    ours = [existing.key for existing in found if existing.created_by_deploy]
    if ours:
        yield _deny(
            Refusal.LEFT_BEHIND,
            f"{', '.join(ours)}: left by an interrupted deploy; to adopt all of it: "
            f"delivery adopt {target} --all {options}",
        )
    for existing in found:
        keep = f"to keep it: delivery adopt {target} {existing.key} --id {existing.id} {options}"
        if existing.adopted:
            yield _deny(
                Refusal.EXISTS,
                f"{existing.key} was adopted before and unbound since ({existing.id}): a deploy "
                f"would create a second one; {keep}",
            )
        elif not existing.created_by_deploy:
            yield _deny(
                Refusal.EXISTS,
                f"{existing.key} exists already ({existing.id}), with no evidence that a "
                f"deploy to {target} created it; {keep}",
            )


def identity_decisions(target: Target, raw: Mapping[str, Any]) -> Iterator[Decision]:
    """Refuse a `run_as` that the CLI resolves to another identity than the guard checked."""
    for key, identity in run_as_in_cli_plan(target.tree, raw["plan"]):
        reason = f"the CLI would run it as {identity or 'the deployer'}; write a literal run_as"
        yield Decision(key=key, action="refuse", reason=reason, refusal=Refusal.RUN_AS)


def unused_destroy_decisions(
    request: PlanRequest, changes: Sequence[ResourceChange], tables: Sequence[TableChange]
) -> Iterator[Decision]:
    """Warn of keys of --allow-destroy that the plan does not change, such as misspelt ones."""
    reason = "may be destroyed, but this plan does not change it"
    changed = {change.key for change in changes}
    changed |= {change.key for table in tables for change in table.changes}
    for key in sorted({*request.allow_destroy} - changed):
        yield Decision(key=key, action="warn", reason=reason)


def _deny(refusal: Refusal, reason: str) -> Decision:
    return Decision(key=_RELEASE_KEY, action="refuse", reason=reason, refusal=refusal)


def _warn(reason: str) -> Decision:
    return Decision(key=_RELEASE_KEY, action="warn", reason=reason)
