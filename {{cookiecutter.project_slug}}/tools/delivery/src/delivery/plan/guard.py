"""Guards a deploy against accidents: destroyed data, deleted jobs, wider rights."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from delivery.config.identities import (
    EVERYONE,
    RUN_AS,
    Identities,
    declared_run_as,
    forbidden_identity,
)
from delivery.config.policy import Allow, Policy
from delivery.config.yaml import YamlMapping
from delivery.plan.model import (
    Decision,
    FieldChange,
    ResourceChange,
    TableChange,
    without_release,
)
from delivery.refusals import Refusal
from delivery.resources import properties_of

DESTRUCTIVE_ACTIONS = ("delete", "recreate", "update_id")
_PIPELINE_TABLES = ("catalog", "schema", "storage", "target")
_RIGHTS = ("permissions", "grants")
_REPORTED = ("jobs", *_RIGHTS)  # a rollback that deletes these needs no extra warning
_EMBEDDED = "embed_credentials"
# Fields by which a resource acts on behalf of a user, or with its own rights.
_LENT = {
    ("apps", "resources"): "the app's own service principal gets other rights",
    ("apps", "user_api_scopes"): "the app acts for its users with other scopes",
    ("clusters", "single_user_name"): "the cluster is assigned to another user",
    ("dashboards", _EMBEDDED): "anyone who can open it reads with the deployer's rights",
    ("registered_models", "owner"): "its owner changes",
}


@dataclass(frozen=True)
class GuardInput:
    """Everything that the guard decides on, except the changes.

    Attributes:
        policy: the stricter of the release's own policy and the running release's.
        state: the entries of the CLI's state, by key.
        tree: the target's configuration as the release declares it.
        allow_destroy: the keys of `--allow-destroy`, each with the reason.
        consumed: ids of exceptions of the policy that are used up.
        active_jobs: keys of jobs that have an active run.
        is_rollback: whether an earlier release is deployed; newer resources without data are
            deleted.
        identities: the target's service principals.
    """

    target: str
    policy: Policy
    state: Mapping[str, Mapping[str, Any]]
    tree: YamlMapping
    allow_destroy: Mapping[str, str] = field(default_factory=dict)
    consumed: Set[str] = frozenset()
    active_jobs: Set[str] = frozenset()
    is_rollback: bool = False
    identities: Identities = field(default_factory=Identities)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def exception(self, key: str) -> Allow | None:
        """The policy's exception for a key, if it is still valid; a rollback has none."""
        if self.is_rollback:
            return None
        today = self.now.astimezone(UTC).date()
        valid = (a for a in self.policy.allow if a.until >= today and a.id not in self.consumed)
        return next((a for a in valid if a.key == key), None)


def evaluate(changes: Sequence[ResourceChange], inputs: GuardInput) -> list[Decision]:
    """Warn of, allow or refuse the changes that are dangerous."""
    rules = (
        _change_decisions,
        _right_changes,
        _revoked_rights,
        _identities,
        _lent_rights,
        _rollback_effects,
        _deleted_jobs,
    )
    return [decision for rule in rules for decision in rule(changes, inputs)]


def table_decisions(tables: Sequence[TableChange], inputs: GuardInput) -> Iterator[Decision]:
    """Refuse changes that destroy what tables have, unless version and exceptions allow them.

    A rollback has none.
    """
    hint = "to keep it, leave the contract as it was"
    version = "otherwise raise the first number of its version, and add an exception"
    for table in tables:
        for change in (c for c in table.changes if c.effect == "destructive"):
            if table.is_major:
                yield _decide(change.key, change.what, inputs, Refusal.TABLE_CHANGE, hint)
            else:
                reason = f"{change.what}; {hint}; {version}"
                yield _refuse(change.key, Refusal.TABLE_CHANGE, reason)


def holds_data(key: str) -> bool:
    """Whether deleting this resource may lose data."""
    return properties_of(key).holds_data


def consumed_exceptions(decisions: Sequence[Decision], inputs: GuardInput) -> list[str]:
    """The ids of the policy's exceptions that these decisions use up."""
    keys = {d.key for d in decisions if d.action == "allow"} - {*inputs.allow_destroy}
    return sorted({allow.id for key in keys if (allow := inputs.exception(key))})


def _change_decisions(changes: Sequence[ResourceChange], inputs: GuardInput) -> Iterator[Decision]:
    for change in changes:
        danger = _data_loss(change, inputs)
        if danger:
            yield _decide(change.key, danger, inputs, Refusal.DATA_LOSS)
        if change.key in inputs.active_jobs:
            yield Decision(key=change.key, action="warn", reason="has an active run")


def _data_loss(change: ResourceChange, inputs: GuardInput) -> str:
    """Why a change may lose data; empty if it cannot."""
    protected = change.key in inputs.policy.guard.protected
    if change.action in DESTRUCTIVE_ACTIONS and (holds_data(change.key) or protected):
        return f"would lose its data ({change.action})"
    if change.kind == "pipelines":
        return _pipeline_data_loss(change)
    if change.kind == "jobs" and _starts_full_refresh(change, inputs.tree):
        return "full_refresh: true empties the pipeline's tables on every run"
    return ""


def _pipeline_data_loss(change: ResourceChange) -> str:
    declared = [f for f in change.fields if not f.is_drift]
    moved = next((f.path for f in declared if f.path in _PIPELINE_TABLES), "")
    if moved:
        return f"a new {moved} would abandon the pipeline's existing tables"
    libraries = [f for f in declared if f.path.startswith("libraries")]
    old, new = {*_leaves([f.old for f in libraries])}, {*_leaves([f.new for f in libraries])}
    return "a library is removed or replaced, which drops its tables" if old - new else ""


def _leaves(value: Any) -> Iterator[str]:
    """The scalars in a value, in a form that is the same for every release."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        yield from (leaf for entry in value for leaf in _leaves(entry))
    elif value is not None:
        yield without_release(value)


def _starts_full_refresh(change: ResourceChange, tree: YamlMapping) -> bool:
    if any(
        not f.is_drift and _has_refresh(f.path, f.new) and not _has_refresh(f.path, f.old)
        for f in change.fields
    ):
        return True
    job = tree.section("resources").section("jobs").section(change.key.partition(".")[2])
    return change.action in ("create", "recreate") and _has_refresh("", job)


def _has_refresh(path: str, value: Any) -> bool:
    """Whether a value requests a full refresh at any depth, as in a task of `for_each_task`."""
    if isinstance(value, Mapping):
        return any(_has_refresh(key, entry) for key, entry in value.items())
    if isinstance(value, list):
        return any(_has_refresh("", entry) for entry in value)
    return path.rpartition(".")[2] == "full_refresh" and bool(value)


def _decide(
    key: str, danger: str, inputs: GuardInput, refusal: Refusal, hint: str = ""
) -> Decision:
    """Refuse a dangerous change, unless the command line or the policy allows it.

    Args:
        hint: how to avoid the change, if declaring the resource again is not the way.
    """
    if key in inputs.policy.guard.protected:
        return _refuse(key, Refusal.PROTECTED, f"{danger}; guard.protected lists it")
    if key in inputs.allow_destroy:
        reason = f"{danger}; allowed on the command line: {inputs.allow_destroy[key]}"
        return Decision(key=key, action="allow", reason=reason)
    exception = inputs.exception(key)
    if exception:
        reason = f"{danger}; allowed until {exception.until}: {exception.reason}"
        return Decision(key=key, action="allow", reason=reason)
    if inputs.is_rollback:
        hint = "a rollback never destroys data; deploy a fixed release instead"
    else:
        hint = hint or "to keep it, declare it again"
        hint += (
            f"; to destroy it: --allow-destroy {key} --reason …, or an allow entry in delivery.yml"
        )
    return _refuse(key, refusal, f"{danger}; {hint}")


def _refuse(key: str, refusal: Refusal, reason: str) -> Decision:
    return Decision(key=key, action="refuse", reason=reason, refusal=refusal)


def _deleted_jobs(changes: Sequence[ResourceChange], inputs: GuardInput) -> Iterator[Decision]:
    """Many jobs deleted at once suggest a lost file rather than a decision."""
    deleted = [c.key for c in changes if c.kind == "jobs" and c.action == "delete"]
    total = sum(key.startswith("jobs.") and key.count(".") == 1 for key in inputs.state)
    limit = min(inputs.policy.guard.jobs_deleted, total // 5)
    for key in deleted:
        renamed, hint = _renamed(key, changes, inputs), ""
        if renamed:
            adopt = f"delivery adopt {inputs.target} {renamed} --from {key} --reason …"
            hint = f"looks like {renamed} under another key; to keep it: {adopt}"
            yield Decision(key=key, action="warn", reason=hint)
        if len(deleted) > limit and not inputs.is_rollback:
            danger = f"{len(deleted)} of {total} jobs would be deleted"
            yield _decide(key, danger, inputs, Refusal.JOBS_DELETED, hint)


def _renamed(key: str, changes: Sequence[ResourceChange], inputs: GuardInput) -> str:
    """The key of the new job that has the deleted job's name; empty if there is none."""
    name = inputs.state.get(key, {}).get("state", {}).get("name")
    jobs = inputs.tree.section("resources").section("jobs")
    created = (c.key for c in changes if c.kind == "jobs" and c.action == "create")
    return next((k for k in created if jobs.section(k.partition(".")[2]).get("name") == name), "")


def _right_changes(changes: Sequence[ResourceChange], inputs: GuardInput) -> Iterator[Decision]:
    created = {change.key for change in changes if change.action == "create"}
    for change in changes:
        if change.kind in _RIGHTS:
            is_new = change.key.rpartition(".")[0] in created
            for changed in change.fields:
                reason = _right_change(changed, is_new)
                if reason and not changed.is_drift:
                    yield _decide_right(change.key, f"{reason}: {changed.path}", inputs)


def _right_change(changed: FieldChange, is_new: bool) -> str:
    """How a right changes; a new resource is reported only if its rights are too wide."""
    level = str(changed.new)
    if "ALL_PRIVILEGES" in level or "ALL PRIVILEGES" in level:
        return "all privileges are granted"
    if "CAN_MANAGE" in level and any(f"'{group}'" in changed.path for group in EVERYONE):
        return "all users get CAN_MANAGE"
    if is_new:
        return ""
    if changed.old is None:
        return "a right is added"
    return "a right is removed" if changed.new is None else "a right is changed"


def _revoked_rights(changes: Sequence[ResourceChange], inputs: GuardInput) -> Iterator[Decision]:
    """Resources that stay, but whose permissions or grants are all deleted."""
    deleted = {c.key for c in changes if c.action == "delete"}
    for key in sorted(deleted):
        resource, _, part = key.rpartition(".")
        if part in _RIGHTS and resource not in deleted:
            yield _decide_right(key, "everyone loses their rights", inputs)


def _identities(changes: Sequence[ResourceChange], inputs: GuardInput) -> Iterator[Decision]:
    """No resource runs as the deployer or the planner; the policy decides on others."""
    created, known = {c.key for c in changes if c.action == "create"}, inputs.identities
    for run_as in declared_run_as(inputs.tree):
        forbidden = forbidden_identity(run_as.identity, known)
        if forbidden:
            hint = f"expected run_as: {{service_principal_name: {known.runner}}}, the runner"
            yield _refuse(run_as.key, Refusal.RUN_AS, f"{forbidden}; {hint}")
        elif run_as.key in created and known.runner not in ("", run_as.identity):
            reason = f"runs as {run_as.identity}, expected the runner"
            yield _decide_right(run_as.key, reason, inputs)
    for change in changes:
        for changed in change.fields:
            if changed.path.partition(".")[0] == RUN_AS and not changed.is_drift:
                reason = f"{changed.path}: given {changed.old}, will be {changed.new}"
                yield _decide_right(change.key, reason, inputs)


def _lent_rights(changes: Sequence[ResourceChange], inputs: GuardInput) -> Iterator[Decision]:
    """Rights that a resource lends to its users."""
    kinds = inputs.tree.section("resources")
    for change in changes:
        declared = kinds.section(change.kind).section(change.key.partition(".")[2])
        if change.action == "create" and declared.get(_EMBEDDED):
            yield _decide_right(change.key, _LENT["dashboards", _EMBEDDED], inputs)
        for changed in change.fields:
            reason = _LENT.get((change.kind, re.split(r"[.\[]", changed.path)[0]))
            if reason and changed.new and not changed.is_drift:
                yield _decide_right(change.key, reason, inputs)


def _rollback_effects(changes: Sequence[ResourceChange], inputs: GuardInput) -> Iterator[Decision]:
    """What this rollback deletes, or how this deploy limits later rollbacks."""
    for change in changes:
        kind, reason = properties_of(change.key), ""
        if change.action == "create" and not inputs.is_rollback and kind.fate == "refused":
            reason = (
                f"{change.kind} cannot be retained: once it is deployed, a rollback to a release "
                "without it is refused; if this deploy fails, its jobs are paused instead"
            )
        elif change.action == "delete" and inputs.is_rollback and change.kind not in _REPORTED:
            reason = "" if kind.holds_data else "holds no data, so this rollback deletes it"
        if reason:
            yield Decision(key=change.key, action="warn", reason=reason)


def _decide_right(key: str, reason: str, inputs: GuardInput) -> Decision:
    """Decide on a right as the policy demands; only a refusal uses up an exception."""
    refuses = inputs.policy.guard.rights.get(inputs.target) == "refuse"
    if not refuses or inputs.is_rollback:
        return Decision(key=key, action="warn", reason=reason)
    permitted = key in inputs.allow_destroy or inputs.exception(key)
    if permitted:
        return Decision(key=key, action="allow", reason=reason)
    return _refuse(key, Refusal.RIGHTS, reason)
