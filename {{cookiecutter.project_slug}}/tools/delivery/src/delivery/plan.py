"""What a release would change on a target: the CLI's plan, reduced to what is decided on."""

import json
import re
from collections.abc import Iterator, Mapping, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic import Field as Fact

from delivery.errors import DeliveryError, Exit, newer
from delivery.files import write_whole
from delivery.release.manifest import ID, sha256
from delivery.rules.secrets import is_secret, name_of

Action = Literal["create", "update", "update_id", "resize", "recreate", "delete"]

SCHEMA = 1  # of a saved plan
_RELEASE_FOLDER = re.compile(rf"/releases/{ID.pattern}/")
_WHEEL_VERSION = re.compile(r"-[^-/]+\+g[0-9a-f]{8}-")
_KEY = re.compile(r"\['([^']*)'\]$|([^.\[\]']+)$")  # the last key of a path
_INDEX = re.compile(r"(\[\d+\])+$")
_NAMED = re.compile(r"\[(?:name|key)='([^']*)'\]\.(?:default|value)$")  # its name is the entry's
_PRINCIPALS = ("principal", "group_name", "service_principal_name", "user_name")
HIDDEN = "(hidden)"  # what stands for a secret
_LONGEST = 300  # characters of a value that people are shown


class _Frozen(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True
    )


class Field(_Frozen):
    """One field of a resource: as deployed last, as declared now, as it is in the workspace."""

    path: str
    old: Any = None
    new: Any = None
    remote: Any = None

    @property
    def is_drift(self) -> bool:
        """Changed by hand: the declaration did not change, the workspace did."""
        return bool(self.old == self.new)

    @property
    def is_code(self) -> bool:
        """Only the release's folder and its wheel differ."""
        return not self.is_drift and without_release(self.old) == without_release(self.new)


class Change(_Frozen):
    """What happens to one resource, or to its permissions or grants.

    Attributes:
        key: such as `jobs.flights_daily` or `schemas.flights_gold.grants`.
        value: digest of what is created.
    """

    key: str
    action: Action
    fields: list[Field] = []
    value: str = ""

    @property
    def kind(self) -> str:
        """The kind of resource, or `permissions` and `grants`."""
        last = self.key.rpartition(".")[2]
        return last if last in ("permissions", "grants") else self.key.partition(".")[0]

    @property
    def is_code(self) -> bool:
        """Nothing but the release's code changes."""
        return self.action == "update" and bool(self.fields) and all(f.is_code for f in self.fields)

    @property
    def is_drift(self) -> bool:
        """Nothing but hands changed this; a deploy puts it back."""
        return self.action == "update" and all(field.is_drift for field in self.fields)


class Verdict(_Frozen):
    """What the guard says to a change: `mark` is for people to see, `refuse` stops a deploy."""

    key: str
    verdict: Literal["mark", "allow", "refuse"]
    reason: str


class Plan(_Frozen):
    """A plan that can be saved, approved and carried out once, exactly as it is.

    Attributes:
        digest_of_release: the release's digest.
        running: the release that runs on the target, empty when none does.
        lineage, serial: the state that the plan is made for.
        leaves: releases that going back leaves, and that are blocked then.
        retained: keys that a newer release added, and that are kept.
        named: keys that may be destroyed, because whoever planned said so.
        proof: when the target before verified the release, for people.
    """

    schema_: Annotated[int, Fact(alias="schema", ge=1, le=SCHEMA)] = SCHEMA
    target: str
    host: str
    project: str
    release: str
    digest_of_release: str
    running: str
    back: bool = False
    lineage: str
    serial: int
    changes: list[Change]
    leaves: list[str] = []
    retained: list[str] = []
    named: list[str] = []
    verdicts: list[Verdict] = []
    notes: list[str] = []
    proof: str = ""
    made: AwareDatetime
    expires: AwareDatetime

    @property
    def digest(self) -> str:
        """What names this plan: all that is decided on, and nothing about when or by whom."""
        left_out = {"made", "expires", "verdicts", "notes", "proof"}
        body = self.model_dump(mode="json", exclude=left_out)
        return sha256(json.dumps(body, sort_keys=True).encode())

    @property
    def refused(self) -> list[Verdict]:
        """What stops a deploy."""
        return [verdict for verdict in self.verdicts if verdict.verdict == "refuse"]

    def counts(self) -> dict[str, int]:
        """How many resources are created, changed and deleted, and how many are retained."""
        count = {"create": 0, "update": 0, "delete": 0, "retained": len(self.retained)}
        for change in self.changes:
            for action in ("create", "delete") if change.action == "recreate" else (change.action,):
                count[action if action in count else "update"] += 1
        return count

    def write(self, file: Path) -> None:
        """Save it, whole or not at all, with its digest."""
        plan = self.model_dump(mode="json")
        document = {"digest": self.digest, "checksum": _checksum(plan), "plan": plan}
        write_whole(file, json.dumps(document, indent=1).encode())


def read_plan(file: Path, now: datetime) -> Plan:
    """Read a saved plan.

    Raises:
        DeliveryError: it was edited, has expired, or is no plan.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        schema = document["plan"].get("schema", SCHEMA)
        if isinstance(schema, int) and schema > SCHEMA:
            raise newer(str(file), schema, SCHEMA)
        plan = Plan.model_validate(document["plan"])
    except OSError as error:
        raise DeliveryError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DeliveryError(
            f"{file}: expected a plan made by: delivery plan --save\n"
            "    Make it again, with this version of the tool: nothing that a plan says is ignored."
        ) from None
    sums = (document.get("digest"), document.get("checksum"))
    if sums != (plan.digest, _checksum(document["plan"])):
        raise DeliveryError(f"{file}: the plan was edited after it was made", Exit.REFUSED)
    if now > plan.expires:
        raise DeliveryError(
            f"{file}: the plan expired at {plan.expires:%Y-%m-%d %H:%M} UTC; make a new one",
            Exit.REFUSED,
        )
    return plan


def _checksum(plan: Any) -> str:
    """Of everything in the file, the hour of its end among it."""
    return sha256(json.dumps(plan, sort_keys=True).encode())


def moved(saved: Plan, fresh: Plan, begun: bool = False) -> list[str]:
    """What differs between the plan that was approved and the plan as it would be now.

    Args:
        begun: the saved plan was carried out in part: what is left must be a part of it.
    """
    names = ("target", "host", "project", "release", "digest_of_release", "back", "retained")
    state = () if begun else ("running", "lineage", "serial", "leaves")
    differences = [
        f"{name}: approved {getattr(saved, name)!r}, now {getattr(fresh, name)!r}"
        for name in (*names, *state, "named")
        if getattr(saved, name) != getattr(fresh, name)
    ]
    before, after = ({c.key: c for c in plan.changes} for plan in (saved, fresh))
    keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    if begun:
        keys = [k for k in keys if k in after and not _is_rest(after[k], before.get(k))]
    return differences + [
        f"{k}: approved {_brief(before.get(k))}, now {_brief(after.get(k))}" for k in keys
    ]


def _is_rest(left: Change, approved: Change | None) -> bool:
    """Whether it is what a cut off creation still lacks, such as a right."""
    if approved is None or (approved.action, left.action) != ("create", "update"):
        return False
    told = [(field.path, field.new) for field in approved.fields]
    return all((field.path, field.new) in told for field in left.fields)


def normalised(raw: Mapping[str, Any], hidden: Set[str]) -> list[Change]:
    """The changes of the CLI's plan, the same whoever made it.

    Args:
        hidden: principals whose entries in permissions are left out, for `with_rights` tells them.
    """
    changes = (_change(key, node, hidden) for key, node in sorted(raw["plan"].items()))
    return [change for change in changes if change is not None]


def expiry(made: datetime, hours: int) -> datetime:
    """When a plan ends."""
    return made.astimezone(UTC) + timedelta(hours=hours)


def _change(node: str, entry: Mapping[str, Any], hidden: Set[str]) -> Change | None:
    action = entry["action"]
    key = node.removeprefix("resources.")
    if action == "skip":
        return None
    fields = list(_fields(key, entry.get("changes") or {}, hidden))
    if action == "update" and not fields:
        return None
    value = (entry.get("new_state") or {}).get("value") if action == "create" else None
    rights = _rights(key, value, hidden)
    if rights is not None:
        fields, value = list(_given(rights)), rights
    return Change(key=key, action=action, fields=fields, value=_digest(value))


def _fields(key: str, changes: Mapping[str, Any], hidden: Set[str]) -> Iterator[Field]:
    owners = key.endswith(".permissions")
    for path, change in sorted(changes.items()):
        if change["action"] == "skip" or (owners and any(f"'{p}'" in path for p in hidden)):
            continue
        values = {name: shown(path, change.get(name)) for name in ("old", "new", "remote")}
        yield Field(path=path, **values)


def shown(path: str, value: Any, whole: bool = False) -> Any:
    """A value as it may be seen and saved: no secret, and not too long unless as a `whole`."""
    if isinstance(value, Mapping):
        return {
            name: shown(f"{path}.{name_of(name, value)}", entry, whole)
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [shown(path, entry, whole) for entry in value]
    named = _KEY.search(_NAMED.sub(r"['\1']", _INDEX.sub("", path)))
    name = (named[1] or named[2]) if named else ""
    if isinstance(value, str | int) and not isinstance(value, bool) and is_secret(name, str(value)):
        return HIDDEN
    if isinstance(value, str) and len(value) > _LONGEST and not whole:
        return f"{value[:_LONGEST]}… (sha256 {sha256(value.encode())[:16]})"
    return value


def _rights(key: str, value: Any, hidden: Set[str]) -> list[Any] | None:
    """The entries of rights that are created; None for anything else."""
    if not key.endswith((".permissions", ".grants")) or not isinstance(value, Mapping):
        return None
    entries = value.get("__embed__", value.get("acls")) or []
    left_out = hidden if key.endswith(".permissions") else frozenset()
    return sorted((entry for entry in entries if not left_out & _texts(entry)), key=str)


def _given(rights: list[Any]) -> Iterator[Field]:
    """Rights that are created, named as the CLI names those that change."""
    for entry in rights:
        name = next((name for name in _PRINCIPALS if name in entry), _PRINCIPALS[0])
        level = {k: v for k, v in entry.items() if k != name}
        shown = next(iter(level.values())) if len(level) == 1 else level
        yield Field(path=f"[{name}='{entry.get(name)}']", new=shown)


def _digest(value: Any) -> str:
    return "" if value is None else sha256(json.dumps(value, sort_keys=True).encode())


def _texts(entry: Any) -> set[str]:
    return {text for text in entry.values() if isinstance(text, str)}


def without_release(value: Any) -> str:
    """A value as text, the same for every release's folder and wheel."""
    text = json.dumps(value, sort_keys=True)
    return _WHEEL_VERSION.sub("-*-", _RELEASE_FOLDER.sub("/releases/*/", text))


def _brief(change: Change | None) -> str:
    if change is None:
        return "nothing"
    fields = ", ".join(f"{f.path}: {f.remote!r} → {f.new!r}" for f in change.fields[:3])
    value = f"of content {change.value[:8]}" if change.value else ""
    return " ".join(filter(None, (change.action, fields, value)))
