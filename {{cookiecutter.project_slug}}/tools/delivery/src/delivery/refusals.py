"""Why the tool refuses: a stable name for each reason, which has an entry in the guide."""

from collections.abc import Iterable
from enum import StrEnum

PAGE = "docs/refusals.md"


class Refusal(StrEnum):
    """The reasons. Each is the heading of its entry in `docs/refusals.md`."""

    # the target
    LOCKED = "locked"
    CLI_LOCKED = "cli-locked"
    OTHER_PROJECT = "other-project"
    OTHER_HOST = "other-host"
    OTHER_STATE = "other-state"
    UNRECORDED_STATE = "unrecorded-state"
    LEDGER_EDITED = "ledger-edited"
    TOKEN_EXPIRES = "token-expires"  # noqa: S105 - a name, no token

    # building a release
    DIRTY_TREE = "dirty-tree"
    FUTURE_COMMIT = "future-commit"
    BRANCH_NAME = "branch-name"
    NO_LOCK_FILE = "no-lock-file"
    LINKS = "links"
    LOCAL_STATE = "local-state"
    WHEEL = "wheel"
    TOO_LARGE = "too-large"

    # a release and its archive
    INVALID_ARCHIVE = "invalid-archive"
    OTHER_CONTENT = "other-content"
    OTHER_TARGET = "other-target"
    UNTRUSTED = "untrusted"
    CLI_REPORTS = "cli-reports"
    NOT_VERIFIED = "not-verified"
    NOT_REBUILT = "not-rebuilt"
    BLOCKED = "blocked"

    # promotion
    NOT_RELEASED = "not-released"
    OLDER = "older"
    FROZEN = "frozen"
    WRONG_BRANCH = "wrong-branch"
    NO_RECEIPT = "no-receipt"

    # approval
    NOT_APPROVED = "not-approved"
    NO_REVIEWERS = "no-reviewers"
    APPROVALS_NOT_VISIBLE = "approvals-not-visible"
    REPEATED_RUN = "repeated-run"
    PLAN_CHANGED = "plan-changed"
    PLAN_DIGEST = "plan-digest"
    PLAN_EDITED = "plan-edited"
    PLAN_EXPIRED = "plan-expired"

    # the guard
    DATA_LOSS = "data-loss"
    PROTECTED = "protected"
    TABLE_CHANGE = "table-change"
    JOBS_DELETED = "jobs-deleted"
    RIGHTS = "rights"
    RUN_AS = "run-as"
    EXISTS = "exists"
    LEFT_BEHIND = "left-behind"
    DUPLICATE_JOB = "duplicate-job"
    ADOPTED = "adopted"

    # rolling back
    IRREVERSIBLE = "irreversible"
    TARGET_MOVED = "target-moved"
    NOT_RETAINABLE = "not-retainable"
    NO_INCLUDE = "no-include"

    # other commands
    OTHER_KEY = "other-key"
    OTHER_OWNER = "other-owner"
    PREVIEW_NOT_SEPARATE = "preview-not-separate"
    PREVIEW_IDENTITY = "preview-identity"
    DOMAIN_IN_USE = "domain-in-use"
    NOT_CONFIRMED = "not-confirmed"


def entries(refusals: Iterable[Refusal]) -> str:
    """Where the guide explains refusals, each once; empty if there are none."""
    return ", ".join(f"{PAGE}#{refusal}" for refusal in dict.fromkeys(refusals))
