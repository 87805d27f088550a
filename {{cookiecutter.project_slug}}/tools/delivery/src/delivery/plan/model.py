"""The plan of a deploy: what it changes on a target, and the decisions about it."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from delivery.errors import DeliveryError, RefusedError, newer_schema_error
from delivery.files import write_atomic
from delivery.refusals import Refusal
from delivery.release.manifest import RELEASE_NAME, sha256

Action = Literal["create", "update", "update_id", "resize", "recreate", "delete"]
Effect = Literal["safe", "rewrite", "destructive"]

EFFECTS: tuple[Effect, ...] = ("safe", "rewrite", "destructive")  # the worst last
NEW_TABLE = "new table"

SCHEMA = 2  # of a saved plan; 1 has the field names of version 0.1
_RELEASE_FOLDER = re.compile(rf"/releases/{RELEASE_NAME.pattern}/")
_WHEEL_VERSION = re.compile(r"-[^-/]+\+g[0-9a-f]{8}-")


class _Frozen(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True
    )


class FieldChange(_Frozen):
    """A field of a resource that differs.

    Attributes:
        old: the value as last deployed.
        new: the value as declared now.
        remote: the value in the workspace.
    """

    path: str
    old: Any = None
    new: Any = None
    remote: Any = None

    @property
    def is_drift(self) -> bool:
        """Whether only the workspace changed, not the declaration."""
        return bool(self.old == self.new)

    @property
    def is_code(self) -> bool:
        """Whether only the release's folder or wheel differs."""
        return not self.is_drift and without_release(self.old) == without_release(self.new)


class ResourceChange(_Frozen):
    """The change of a resource, or of its permissions or grants.

    Attributes:
        key: such as `jobs.flights_daily` or `schemas.flights_gold.grants`.
        value: the digest of the content of a new resource.
    """

    key: str
    action: Action
    fields: list[FieldChange] = []
    value: str = ""

    @property
    def kind(self) -> str:
        """The kind of resource, or `permissions` and `grants`."""
        last = self.key.rpartition(".")[2]
        return last if last in ("permissions", "grants") else self.key.partition(".")[0]

    @property
    def is_code(self) -> bool:
        """Whether only the release's code changes."""
        return self.action == "update" and bool(self.fields) and all(f.is_code for f in self.fields)

    @property
    def is_drift(self) -> bool:
        """Whether it was only changed outside delivery; a deploy reverts that."""
        return self.action == "update" and all(field.is_drift for field in self.fields)


class Decision(_Frozen):
    """A decision about a change: `warn` informs the approver, `refuse` stops the deploy.

    Attributes:
        key: the key of the resource, or `policy` for the release as a whole.
        refusal: the entry of the guide that explains it, if it refuses.
    """

    key: str
    action: Literal["warn", "allow", "refuse"]
    reason: str
    refusal: Refusal | None = None

    @model_validator(mode="after")
    def _is_explained(self) -> Self:
        if self.action == "refuse" and self.refusal is None:
            raise ValueError("a refusal needs its name")
        return self


class ContractChange(_Frozen):
    """One difference between two data contracts of a table.

    Attributes:
        key: names it for an exception, such as `tables.flights.silver.flights.gate`.
        what: the difference in a few words.
    """

    key: str
    effect: Effect
    what: str


class TableChange(_Frozen):
    """How a release changes a table, by its data contract.

    Attributes:
        table: such as `flights.silver.flights`.
        effect: the worst one of the changes.
        statements: bring comments, tags, constraints and clustering to the table.
        rebuilt: whether the whole table is computed anew.
        is_major: whether the contract has a higher major version, or is removed. Otherwise jobs
            destroy nothing.
    """

    table: str
    effect: Effect
    changes: list[ContractChange]
    statements: list[str] = []
    rebuilt: bool = False
    is_major: bool = False


class Plan(_Frozen):
    """A plan that can be saved, approved and applied once, exactly as it is.

    Attributes:
        running: the running release; empty if there is none.
        lineage, serial: identify the CLI's state that the plan was made for.
        tables: how the data contracts change tables.
        abandons: releases that a rollback abandons and blocks.
        retained: keys that the release does not declare and that are retained.
        allow_destroy: keys of `--allow-destroy`.
        commits: the commits between the running release and this one.
        receipt_age: when the previous target verified the release, for the approver.
    """

    schema_: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)] = SCHEMA
    target: str
    host: str
    project: str
    release: str
    release_digest: str
    running: str
    is_rollback: bool = False
    lineage: str
    serial: int
    changes: list[ResourceChange]
    tables: list[TableChange] = []
    abandons: list[str] = []
    retained: list[str] = []
    allow_destroy: list[str] = []
    decisions: list[Decision] = []
    commits: list[str] = []
    receipt_age: str = ""
    created_at: AwareDatetime
    expires_at: AwareDatetime

    @property
    def digest(self) -> str:
        """Identifies what the plan does, regardless of when and by whom it was made."""
        excluded = {"created_at", "expires_at", "decisions", "commits", "receipt_age"}
        if not self.tables:  # plans of earlier versions of this tool have the same digest
            excluded.add("tables")
        body = self.model_dump(mode="json", exclude=excluded)
        return sha256(json.dumps(body, sort_keys=True).encode())

    @property
    def refusals(self) -> list[Decision]:
        """The decisions that stop a deploy."""
        return [decision for decision in self.decisions if decision.action == "refuse"]

    @property
    def refusal_names(self) -> list[Refusal]:
        """The entries of the guide that explain why a deploy stops."""
        return [decision.refusal for decision in self.refusals if decision.refusal]

    def counts(self) -> dict[str, int]:
        """How many resources are created, changed, deleted and retained."""
        count = {"create": 0, "update": 0, "delete": 0, "retained": len(self.retained)}
        for change in self.changes:
            for action in ("create", "delete") if change.action == "recreate" else (change.action,):
                count[action if action in count else "update"] += 1
        return count

    def write(self, file: Path) -> None:
        """Save the plan and its digest atomically."""
        plan = self.model_dump(mode="json")
        document = {"digest": self.digest, "checksum": _checksum(plan), "plan": plan}
        write_atomic(file, json.dumps(document, indent=1).encode())


def read_plan(file: Path, now: datetime) -> Plan:
    """Read a saved plan.

    Raises:
        DeliveryError: the file is not a plan of this version of delivery.
        RefusedError: the plan was edited or has expired.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        schema = document["plan"].get("schema", SCHEMA)
        if isinstance(schema, int) and schema > SCHEMA:
            raise newer_schema_error(str(file), schema, SCHEMA)
        if isinstance(schema, int) and 0 < schema < SCHEMA:
            raise DeliveryError(
                f"{file}: an earlier version of delivery made this plan\n"
                "    Make a new plan, and have it approved again: delivery plan --save"
            )
        plan = Plan.model_validate(document["plan"])
    except OSError as error:
        raise DeliveryError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DeliveryError(
            f"{file}: expected a plan made by: delivery plan --save\n"
            "    Make it again with this version of delivery."
        ) from None
    sums = (document.get("digest"), document.get("checksum"))
    if sums != (plan.digest, _checksum(document["plan"])):
        raise RefusedError(Refusal.PLAN_EDITED, f"{file}: the plan was edited after it was made")
    if now > plan.expires_at:
        raise RefusedError(
            Refusal.PLAN_EXPIRED,
            f"{file}: the plan expired at {plan.expires_at:%Y-%m-%d %H:%M} UTC; make a new one",
        )
    return plan


def _checksum(plan: Any) -> str:
    """The digest of the whole plan, including the fields that `Plan.digest` excludes."""
    return sha256(json.dumps(plan, sort_keys=True).encode())


def plan_differences(saved: Plan, fresh: Plan, started: bool = False) -> list[str]:
    """The differences between the approved plan and the plan as it would be now.

    Args:
        started: the saved plan was applied in part; the fresh plan may only contain the rest.
    """
    names = ("target", "host", "project", "release", "release_digest", "is_rollback", "retained")
    state = () if started else ("running", "lineage", "serial", "abandons")
    differences = [
        f"{name}: approved {getattr(saved, name)!r}, now {getattr(fresh, name)!r}"
        for name in (*names, *state, "allow_destroy")
        if getattr(saved, name) != getattr(fresh, name)
    ]
    before, after = ({c.key: c for c in plan.changes} for plan in (saved, fresh))
    keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    if started:
        keys = [k for k in keys if k in after and not _is_remainder_of(after[k], before.get(k))]
    differences += [
        f"{k}: approved {_brief(before.get(k))}, now {_brief(after.get(k))}" for k in keys
    ]
    approved, now = ({table.table: table for table in plan.tables} for plan in (saved, fresh))
    tables = sorted(t for t in {*approved, *now} if approved.get(t) != now.get(t))
    return differences + [
        f"table {t}: approved {_brief_table(approved.get(t))}, now {_brief_table(now.get(t))}"
        for t in tables
        if t in now or not started
    ]


def _is_remainder_of(rest: ResourceChange, approved: ResourceChange | None) -> bool:
    """Whether a change completes an interrupted creation, such as by adding a right."""
    if approved is None or (approved.action, rest.action) != ("create", "update"):
        return False
    created = [(field.path, field.new) for field in approved.fields]
    return all((field.path, field.new) in created for field in rest.fields)


def _brief_table(change: TableChange | None) -> str:
    found = change.changes if change else []
    return "; ".join(f"{c.what} ({c.effect})" for c in found) or "nothing"


def _brief(change: ResourceChange | None) -> str:
    if change is None:
        return "nothing"
    fields = ", ".join(f"{f.path}: {f.remote!r} → {f.new!r}" for f in change.fields[:3])
    value = f"of content {change.value[:8]}" if change.value else ""
    return " ".join(filter(None, (change.action, fields, value)))


def expiry(made: datetime, hours: int) -> datetime:
    """When a plan expires, in UTC."""
    return made.astimezone(UTC) + timedelta(hours=hours)


def without_release(value: Any) -> str:
    """A value as text, without the release in the paths of folders and wheels."""
    text = json.dumps(value, sort_keys=True)
    return _WHEEL_VERSION.sub("-*-", _RELEASE_FOLDER.sub("/releases/*/", text))
