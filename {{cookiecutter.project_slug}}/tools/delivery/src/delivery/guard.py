"""What a deploy may not do by accident: destroy data, lose jobs, widen rights."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from delivery.bundle import Section
from delivery.plan import Change, Field, Verdict, without_release
from delivery.policy import Allow, Policy
from delivery.resources import about
from delivery.run_as import KEY, Identities, forbidden_identity, running

DESTROYS = ("delete", "recreate", "update_id")
_PIPELINE_TABLES = ("catalog", "schema", "storage", "target")
_EVERYONE = ("users", "account users")
_PLAIN = ("jobs", "permissions", "grants")  # their deletion is told by the change alone
_EMBEDDED = "embed_credentials"
# Fields by which a resource acts for somebody, or with rights of its own.
_LENT = {
    ("apps", "resources"): "the app's own service principal gets other rights",
    ("apps", "user_api_scopes"): "the app acts for its users in another way",
    ("clusters", "single_user_name"): "the cluster is somebody else's",
    ("dashboards", _EMBEDDED): "whoever may open it reads with the deployer's rights",
    ("registered_models", "owner"): "it gets another owner",
}


@dataclass(frozen=True)
class Situation:
    """What the guard knows beside the changes.

    Attributes:
        policy: the stricter of what runs and what comes.
        named: keys named for destruction on the command line, each with its reason.
        used: exceptions of the policy that are used up.
        state: the entries of the CLI's state, by key.
        tree: the target's configuration as it will be.
        active: keys of jobs that have a run going on.
        back: an earlier release returns; what the newer one added and holds no data may go.
        identities: the target's service principals.
    """

    target: str
    policy: Policy
    state: Mapping[str, Mapping[str, Any]]
    tree: Section
    named: Mapping[str, str] = field(default_factory=dict)
    used: Set[str] = frozenset()
    active: Set[str] = frozenset()
    back: bool = False
    identities: Identities = field(default_factory=Identities)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def exception(self, key: str) -> Allow | None:
        """The policy's exception for a key, if it still counts; an earlier release's never does."""
        if self.back:
            return None
        today = self.now.astimezone(UTC).date()
        valid = (a for a in self.policy.allow if a.until >= today and a.id not in self.used)
        return next((a for a in valid if a.key == key), None)


def judge(changes: Sequence[Change], situation: Situation) -> list[Verdict]:
    """What is to be seen or refused among the changes."""
    created = {change.key for change in changes if change.action == "create"}
    return [
        *(v for change in changes for v in _judged(change, situation)),
        *(v for change in changes for v in _rights(change, created, situation)),
        *_rights_lost(changes, situation),
        *_identities(changes, situation),
        *_lent(changes, situation),
        *_rollback(changes, situation),
        *_jobs_lost(changes, situation),
    ]


def holds_data(key: str) -> bool:
    """Whether losing this resource may lose data."""
    return about(key).holds_data


def used_up(verdicts: Sequence[Verdict], situation: Situation) -> list[str]:
    """The policy's exceptions that these verdicts make use of."""
    keys = {v.key for v in verdicts if v.verdict == "allow"} - {*situation.named}
    return sorted({a.id for key in keys if (a := situation.exception(key))})


def _judged(change: Change, situation: Situation) -> Iterator[Verdict]:
    danger = _danger(change, situation)
    if danger:
        yield _permitted(change.key, danger, situation)
    if change.key in situation.active:
        yield Verdict(key=change.key, verdict="mark", reason="has a run going on")


def _danger(change: Change, situation: Situation) -> str:
    """Why a change may lose data; empty when it cannot."""
    protected = change.key in situation.policy.guard.protected
    if change.action in DESTROYS and (holds_data(change.key) or protected):
        return f"{change.action} loses what it holds"
    if change.kind == "pipelines":
        return _pipeline_danger(change)
    if change.kind == "jobs" and _refreshes(change, situation.tree):
        return "full_refresh: true empties the pipeline's tables at every run"
    return ""


def _pipeline_danger(change: Change) -> str:
    declared = [f for f in change.fields if not f.is_drift]
    moved = next((f.path for f in declared if f.path in _PIPELINE_TABLES), "")
    if moved:
        return f"another {moved} leaves the pipeline's tables behind"
    libraries = [f for f in declared if f.path.startswith("libraries")]
    old, new = (
        {leaf for values in side for leaf in _leaves(values)}
        for side in ([f.old for f in libraries], [f.new for f in libraries])
    )
    return "a library is removed or replaced: its tables are dropped" if old - new else ""


def _leaves(value: Any) -> Iterator[str]:
    """The single values in a value, the same for every release."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        yield from (leaf for entry in value for leaf in _leaves(entry))
    elif value is not None:
        yield without_release(value)


def _refreshes(change: Change, tree: Section) -> bool:
    new = [f for f in change.fields if not f.is_drift and _has_refresh(f.path, f.new)]
    if any(not _has_refresh(f.path, f.old) for f in new):
        return True
    job = tree.section("resources").section("jobs").section(change.key.partition(".")[2])
    return change.action in ("create", "recreate") and _has_refresh("", job)


def _has_refresh(path: str, value: Any) -> bool:
    """Whether a full refresh is asked for at any depth, as in a task of `for_each_task`."""
    if isinstance(value, Mapping):
        return any(_has_refresh(key, entry) for key, entry in value.items())
    if isinstance(value, list):
        return any(_has_refresh("", entry) for entry in value)
    return path.rpartition(".")[2] == "full_refresh" and bool(value)


def _permitted(key: str, danger: str, situation: Situation, keep: str = "") -> Verdict:
    """Whether somebody named the key, and may.

    Args:
        keep: how to keep what is there; otherwise the release declares it once more.
    """
    if key in situation.policy.guard.protected:
        return Verdict(key=key, verdict="refuse", reason=f"{danger}; guard.protected forbids it")
    if key in situation.named:
        reason = f"{danger}; named: {situation.named[key]}"
        return Verdict(key=key, verdict="allow", reason=reason)
    exception = situation.exception(key)
    if exception:
        reason = f"{danger}; allowed until {exception.until}: {exception.reason}"
        return Verdict(key=key, verdict="allow", reason=reason)
    mend = keep or "to keep it, declare it again"
    if situation.back:
        mend = "going back destroys nothing: go forward with a mended release"
    else:
        mend += (
            f"; if it may go: --allow-destroy {key} --reason …, or an allow entry in delivery.yml"
        )
    return Verdict(key=key, verdict="refuse", reason=f"{danger}; {mend}")


def _jobs_lost(changes: Sequence[Change], situation: Situation) -> Iterator[Verdict]:
    """Many jobs at once are rather a lost file than a decision."""
    lost = [c.key for c in changes if c.kind == "jobs" and c.action == "delete"]
    total = sum(key.startswith("jobs.") and key.count(".") == 1 for key in situation.state)
    limit = min(situation.policy.guard.jobs_deleted, total // 5)
    for key in lost:
        renamed, keep = _renamed(key, changes, situation), ""
        if renamed:
            adopt = f"delivery adopt {situation.target} {renamed} --from {key} --reason …"
            keep = f"looks like {renamed} by another key, to keep it: {adopt}"
            yield Verdict(key=key, verdict="mark", reason=keep)
        if len(lost) > limit and not situation.back:
            danger = f"{len(lost)} of {total} jobs would be deleted"
            yield _permitted(key, danger, situation, keep)


def _renamed(key: str, changes: Sequence[Change], situation: Situation) -> str:
    """The key that is created under the name of the job that is deleted."""
    name = situation.state.get(key, {}).get("state", {}).get("name")
    jobs = situation.tree.section("resources").section("jobs")
    created = (c.key for c in changes if c.kind == "jobs" and c.action == "create")
    return next((k for k in created if jobs.section(k.partition(".")[2]).get("name") == name), "")


def _rights(change: Change, created: Set[str], situation: Situation) -> Iterator[Verdict]:
    if change.kind not in ("permissions", "grants"):
        return
    of_new = change.key.rpartition(".")[0] in created
    for changed in change.fields:
        reason = _wide(changed) or ("" if of_new else _right(changed))
        if reason and not changed.is_drift:
            yield _right_verdict(change.key, f"{reason}: {changed.path}", situation)


def _rights_lost(changes: Sequence[Change], situation: Situation) -> Iterator[Verdict]:
    """All rights on something that stays."""
    gone = {c.key for c in changes if c.action == "delete"}
    for key in sorted(gone):
        owner, _, last = key.rpartition(".")
        if last in ("permissions", "grants") and owner not in gone:
            yield _right_verdict(key, "everybody loses their rights", situation)


def _identities(changes: Sequence[Change], situation: Situation) -> Iterator[Verdict]:
    """Whom things run as: never the deployer or the planner, and another one only by policy."""
    created, known = {c.key for c in changes if c.action == "create"}, situation.identities
    for one in running(situation.tree):
        never = forbidden_identity(one.identity, known)
        if never:
            hint = f"expected run_as: {{service_principal_name: {known.runner}}}, the runner"
            yield Verdict(key=one.key, verdict="refuse", reason=f"{never}; {hint}")
        elif one.key in created and known.runner not in ("", one.identity):
            reason = f"runs as {one.identity}, expected the runner"
            yield _right_verdict(one.key, reason, situation)
    for change in changes:
        for changed in change.fields:
            if changed.path.partition(".")[0] == KEY and not changed.is_drift:
                reason = f"{changed.path}: given {changed.old}, will be {changed.new}"
                yield _right_verdict(change.key, reason, situation)


def _lent(changes: Sequence[Change], situation: Situation) -> Iterator[Verdict]:
    """Rights that a resource lends to whoever uses it."""
    kinds = situation.tree.section("resources")
    for change in changes:
        declared = kinds.section(change.kind).section(change.key.partition(".")[2])
        if change.action == "create" and declared.get(_EMBEDDED):
            yield _right_verdict(change.key, _LENT["dashboards", _EMBEDDED], situation)
        for changed in change.fields:
            reason = _LENT.get((change.kind, re.split(r"[.\[]", changed.path)[0]))
            if reason and changed.new and not changed.is_drift:
                yield _right_verdict(change.key, reason, situation)


def _rollback(changes: Sequence[Change], situation: Situation) -> Iterator[Verdict]:
    """What whoever approves should know of a later rollback, or of this one."""
    for change in changes:
        kind, reason = about(change.key), ""
        if change.action == "create" and not situation.back and kind.fate == "refused":
            reason = (
                f"{change.kind} cannot be retained: once it is delivered, a rollback to a release "
                "without it is refused, and when this delivery fails its jobs are paused instead"
            )
        elif change.action == "delete" and situation.back and change.kind not in _PLAIN:
            reason = "" if kind.holds_data else "holds no data: this rollback deletes it"
        if reason:
            yield Verdict(key=change.key, verdict="mark", reason=reason)


def _right_verdict(key: str, reason: str, situation: Situation) -> Verdict:
    """What policy says to a right; an exception is spent on what would be refused alone."""
    refuses = situation.policy.guard.rights.get(situation.target) == "refuse"
    if not refuses or situation.back:
        return Verdict(key=key, verdict="mark", reason=reason)
    permitted = key in situation.named or situation.exception(key)
    return Verdict(key=key, verdict="allow" if permitted else "refuse", reason=reason)


def _wide(changed: Field) -> str:
    """How a right is wider than any should be."""
    if "ALL_PRIVILEGES" in str(changed.new) or "ALL PRIVILEGES" in str(changed.new):
        return "gets all privileges"
    if "CAN_MANAGE" in str(changed.new) and any(f"'{e}'" in changed.path for e in _EVERYONE):
        return "everyone may manage it"
    return ""


def _right(changed: Field) -> str:
    """How a right changes by declaration."""
    if changed.old is None:
        return "gets a right"
    return "loses a right" if changed.new is None else "gets other rights"
