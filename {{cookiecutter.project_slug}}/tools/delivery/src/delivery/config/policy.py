"""The typed model of the project's policy, `delivery.yml`."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from delivery import __version__
from delivery.config.closest import closest
from delivery.config.policy_file import (
    POLICY_FILE,
    REMOVED_FIELDS,
    RULE,
    mark_of,
    protected_branches,
)
from delivery.config.yaml import YamlMapping, read_yaml
from delivery.errors import DeliveryError, Finding, InvalidFileError, newer_schema_error

_OTHER_MINUTES = 10  # the longest that a delivery takes, without its verification runs

# YAML 1.2 has no dates: they are strings.
Day = Annotated[date, BeforeValidator(lambda v: date.fromisoformat(v) if isinstance(v, str) else v)]


def _expression(text: str) -> str:
    try:
        re.compile(text.replace("{domain}", "domain"))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"given {text}, expected a regular expression: {error}") from None
    return text


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError(f"given {text}, expected versions such as >=0.2,<0.3") from None
    return text


# Earlier versions wrote `mark` for `warn`.
RightsAction = Annotated[
    Literal["warn", "refuse"], BeforeValidator(lambda v: "warn" if v == "mark" else v)
]
Approval = Literal["none", "environment", "dispatch"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ProjectInfo(_Strict):
    """The name, compute and repository of the project."""

    name: str
    compute: str
    url: str = ""
    """The address of the repository, for links; without a user or a token."""
    forge: Literal["both", "github", "gitlab"] = "both"
    """The forge of the repository; `both` if it is undecided or neither of these."""


class Branches(_Strict):
    """The branches and their purposes."""

    integration: str
    """The branch that changes are merged into."""
    targets: Annotated[dict[str, str], Field(min_length=1)]
    """The branch that each released target deploys from, in the order of promotion."""
    prefixes: list[str]
    """The prefixes of other branch names; empty allows any name."""
    approvals: Annotated[int, Field(ge=0, le=6)] = 1
    """How many approvals a pull or merge request into a protected branch needs; 0 only for somebody
    who works alone. `delivery bootstrap` sets it on the forge."""

    @property
    def protected(self) -> tuple[str, ...]:
        """The branches that change only through pull or merge requests."""
        return protected_branches(self.integration, self.targets)


class Release(_Strict):
    """The content and number of releases."""

    include: list[str] = ["databricks.yml", "delivery.yml", "resources/", "src/", "targets/"]
    """Tracked files, and folders (with a trailing slash), that releases contain."""
    keep: Annotated[int, Field(ge=2)] = 10
    """How many releases a target keeps for rollbacks; `delivery prune` removes older ones."""


class Naming(_Strict):
    """The names and tags of resources."""

    keys: Annotated[str, AfterValidator(_expression)] = "{domain}(_[a-z0-9]+)*"
    """A regular expression for resource keys; `{domain}` is the folder below resources/."""
    tags: list[str] = ["project", "domain"]
    """Tags that every job and pipeline must have."""


class Conventions(_Strict):
    """What every job of a released target has; by default, nothing is expected."""

    timeout: bool = False
    """Whether it has a time limit, `timeout_seconds`."""
    queue: bool = False
    """Whether a run waits for the one before, instead of being skipped."""
    max_concurrent_runs: Annotated[int, Field(ge=1)] | None = None
    """How many of its runs may run at once."""
    timezone: str = ""
    """The time zone of its schedule, such as `UTC`."""
    duration_warning: bool = False
    """Whether a health rule warns of long runs, before the time limit ends them."""
    retries: Annotated[int, Field(ge=0)] = 0
    """The least `max_retries` of each task that runs code or SQL, not of conditions and loops."""


class Verify(_Strict):
    """How a deploy is verified."""

    jobs: dict[str, str] = {}
    """The job of each domain to run after every deploy, such as `flights: flights_daily`."""
    minutes: Annotated[int, Field(ge=1)] = 20
    """The time limit of each of these runs, in minutes."""


class Guard(_Strict):
    """Limits on what a deploy may destroy or change."""

    protected: list[str] = []
    """Resources that no deploy destroys, such as `volumes.flights_landing`; no option overrides
    this."""
    jobs_deleted: Annotated[int, Field(ge=0)] = 3
    """How many jobs a deploy may delete without an exception for each; at most a fifth of all."""
    rights: dict[str, RightsAction] = {}
    """For each target: `warn` about wider or removed rights, or `refuse` them."""


class Freeze(_Strict):
    """A period without deploys to a target; rollbacks are always possible."""

    first: Day
    last: Day
    """Both days are part of the freeze, in UTC."""
    targets: list[str]
    reason: str

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last: given {self.last}, expected {self.first} or later")
        return self


class Allow(_Strict):
    """One exception of the policy, reviewed with the change that needs it, and usable once."""

    key: str
    """The resource that may be destroyed, such as `volumes.flights_landing`; the column or table,
    such as `tables.flights.silver.flights.gate`; or `freeze`; or `promotion`, if the release drops
    a target of the running release."""
    reason: str
    until: Day
    """The last day, in UTC, on which the exception is valid."""

    @property
    def id(self) -> str:
        """The id that marks the exception as used."""
        return f"{self.key} until {self.until}"


class Drift(_Strict):
    """Changes outside delivery that are allowed."""

    ignore: list[str] = []
    """Patterns of `key: field`, such as `jobs.*: schedule.pause_status`."""


class Notify(_Strict):
    """Where failures are reported."""

    webhook_env: str
    """The environment variable with the address of an incoming webhook, which is a secret."""


class Data(_Strict):
    """The effects of this release on data."""

    irreversible: str = ""
    """Why a rollback across this release is refused; empty allows it."""


class Tool(_Strict):
    """The delivery tool in `tools/delivery`."""

    required_version: Annotated[str, AfterValidator(_specifier)] = ""
    """The versions that may deliver this project, such as `>=0.2,<0.3`; empty allows all."""
    owned: bool = False
    """Whether this team maintains the tool; otherwise `delivery check` warns of edits."""


class _Promotion(_Strict):
    """The stored part of `Branches`."""

    targets: dict[str, str] = {}


class _VerifiedBy(_Strict):
    """The stored part of `Verify`."""

    jobs: dict[str, str] = {}


class Terms(_Strict):
    """The requirements of the running release's policy for the next release.

    The event that delivered the release stores them, under their names in `delivery.yml`. Increase
    `SCHEMA` if you rename a field or change its meaning.
    """

    branches: _Promotion = _Promotion()
    verify: _VerifiedBy = _VerifiedBy()
    guard: Guard = Guard()
    approval: dict[str, Approval] = {}
    plan_hours: Annotated[int, Field(ge=1)] | None = None
    freezes: list[Freeze] = []

    SCHEMA: ClassVar[int] = 1

    @classmethod
    def read(cls, stored: Mapping[str, Any], release: str) -> "Terms":
        """Read the terms of a release from an event; earlier events store the whole policy.

        Raises:
            DeliveryError: a newer version of the tool wrote the event, or the event was edited.
        """
        schema = stored.get("schema", cls.SCHEMA)
        if isinstance(schema, int) and schema > cls.SCHEMA:
            raise newer_schema_error(f"policy of the running release {release}", schema, cls.SCHEMA)
        try:
            return cls.model_validate(dict(stored), extra="ignore")
        except ValidationError as error:
            first = error.errors()[0]
            raise DeliveryError(
                f"policy of the running release {release}: {'.'.join(map(str, first['loc']))}: "
                f"{first['msg']}\n    The event that delivered {release} is damaged: ask an admin "
                "of the workspace for its history."
            ) from None

    def stored(self) -> dict[str, Any]:
        """The terms as an event stores them."""
        return {"schema": self.SCHEMA, **self.model_dump(mode="json")}

    @property
    def released(self) -> tuple[str, ...]:
        """The targets that take releases only, in the order of promotion."""
        return tuple(self.branches.targets)

    def approval_of(self, target: str) -> Approval:
        """How a plan for a target is approved."""
        return _approval(self.released, self.approval, target)

    def previous_target(self, target: str) -> str | None:
        """The target that a release must be verified on before it reaches `target`."""
        return _previous_target(self.released, target)


class Policy(_Strict):
    """All of `delivery.yml`."""

    project: ProjectInfo
    branches: Branches
    release: Release = Release()
    naming: Naming = Naming()
    conventions: Conventions = Conventions()
    verify: Verify = Verify()
    guard: Guard = Guard()
    may_differ: list[str] = []
    """Patterns of paths that may differ between released targets, such as `presets.tags.*`."""
    approval: dict[str, Approval] = {}
    """How a plan is approved: `environment` by reviewers of the forge's environment, `dispatch` by
    its digest. The default is `environment` for the last target and `none` for others. Pipelines
    wait for approval only before the last target."""
    plan_hours: Annotated[int, Field(ge=1)] = 72
    """How many hours a saved plan is valid."""
    freezes: list[Freeze] = []
    allow: list[Allow] = []
    drift: Drift = Drift()
    preview_days: Annotated[int, Field(ge=1)] = 7
    """The age in days at which `delivery preview sweep` removes a preview."""
    notify: Notify | None = None
    data: Data = Data()
    tool: Tool = Tool()

    @model_validator(mode="before")
    @classmethod
    def _without_removed(cls, given: Any) -> Any:
        """Ignore the fields of earlier versions."""
        if isinstance(given, dict) and not REMOVED_FIELDS.keys().isdisjoint(given):
            return {name: value for name, value in given.items() if name not in REMOVED_FIELDS}
        return given

    @model_validator(mode="after")
    def _known_targets(self) -> Self:
        named = {
            "approval": [*self.approval],
            "guard.rights": [*self.guard.rights],
            "freezes": [target for freeze in self.freezes for target in freeze.targets],
        }
        for path, targets in named.items():
            unknown = [target for target in targets if target not in self.branches.targets]
            if unknown:
                known = ", ".join(self.branches.targets)
                raise ValueError(f"{path}: given {unknown[0]}, expected one of {known}")
        return self

    def approval_of(self, target: str) -> Approval:
        """How a plan for a target is approved."""
        return _approval(self.released, self.approval, target)

    @property
    def released(self) -> tuple[str, ...]:
        """The targets that take releases only, in the order of promotion."""
        return tuple(self.branches.targets)

    @property
    def delivery_minutes(self) -> int:
        """The longest that a deploy and its rollback take; the lifetime that a token needs."""
        return 2 * self.verify.minutes + _OTHER_MINUTES

    def previous_target(self, target: str) -> str | None:
        """The target that a release must be verified on before it reaches `target`."""
        return _previous_target(self.released, target)

    @property
    def terms(self) -> Terms:
        """The requirements for the next release."""
        return Terms(
            branches=_Promotion(targets=self.branches.targets),
            verify=_VerifiedBy(jobs=self.verify.jobs),
            guard=self.guard,
            approval=self.approval,
            plan_hours=self.plan_hours,
            freezes=self.freezes,
        )

    def active_freeze(self, target: str, now: datetime) -> Freeze | None:
        """The freeze of a target that applies now; None if there is none."""
        today = now.astimezone(UTC).date()
        active = (f for f in self.freezes if target in f.targets and f.first <= today <= f.last)
        return next(active, None)

    def stricter(self, other: "Policy | Terms") -> "Policy":
        """This policy with each limit of the other that is stricter; its exceptions stay."""
        guard = Guard(
            protected=[*self.guard.protected, *other.guard.protected],
            jobs_deleted=min(self.guard.jobs_deleted, other.guard.jobs_deleted),
            rights=_strictest(self.guard.rights, other.guard.rights, ("warn", "refuse")),
        )
        own, others = ({t: p.approval_of(t) for t in p.released} for p in (self, other))
        changes = {
            "guard": guard,
            "freezes": [*self.freezes, *other.freezes],
            "approval": _strictest(own, others, ("none", "environment", "dispatch")),
            "plan_hours": min(self.plan_hours, other.plan_hours or self.plan_hours),
        }
        return self.model_copy(update=changes)


def _approval(released: Sequence[str], chosen: Mapping[str, Approval], target: str) -> Approval:
    return chosen.get(target, "environment" if target in released[-1:] else "none")


def _previous_target(released: Sequence[str], target: str) -> str | None:
    index = released.index(target) if target in released else 0
    return released[index - 1] if index else None


def _strictest(first: dict[str, Any], second: dict[str, Any], order: tuple[str, ...]) -> Any:
    """For each target the value that comes later in `order`."""
    return {
        target: max((d[target] for d in (first, second) if target in d), key=order.index)
        for target in {**first, **second}
    }


def load_policy(root: Path) -> Policy:
    """Read `delivery.yml`.

    Raises:
        InvalidFileError: the file does not match the model; each finding has its line and field.
    """
    document = read_yaml(root, POLICY_FILE)
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        found = [_finding(document, e["loc"], e["type"], e["msg"]) for e in error.errors()]
        raise InvalidFileError(*found) from None


def require_tool_version(policy: Policy) -> None:
    """Refuse to deliver with another version of this tool than the checkout's policy requires.

    Raises:
        DeliveryError: the policy requires another version.
    """
    problem = version_problem(policy.tool)
    if problem:
        raise DeliveryError(f"{POLICY_FILE}: {problem}\n    Update the project: cruft update")


def version_problem(tool: Tool) -> str:
    """Why this version of the tool may not deliver the project; empty if it may."""
    if SpecifierSet(tool.required_version, prereleases=True).contains(__version__):
        return ""
    return (
        f"tool.required_version: given version {__version__} of the delivery tool, expected "
        f"{tool.required_version}"
    )


def _finding(document: YamlMapping, loc: tuple[int | str, ...], kind: str, msg: str) -> Finding:
    """The finding for one error of pydantic."""
    path, line = [str(step) for step in loc], mark_of(document, loc).line
    message, hint = msg, "See tools/delivery/delivery.schema.json for the allowed values."
    if kind == "missing":
        hint = f"Add {path[-1]}. See tools/delivery/delivery.schema.json for its meaning."
    if kind == "extra_forbidden":
        fields = _fields(path[:-1])
        near = closest(path[-1], fields)
        message = f"unknown key, expected {near or 'one of ' + ', '.join(fields)}"
        hint = f"Rename it to {near}." if near else "Remove it."
    return Finding(
        POLICY_FILE, line, RULE, ": ".join(filter(None, [".".join(path), message])), hint
    )


def _fields(path: list[str]) -> list[str]:
    """The keys allowed at a path of the policy."""
    model: Any = Policy
    for step in path:
        if not step.isdecimal():
            model = model.model_fields[step].annotation
        model = next((a for a in get_args(model) if hasattr(a, "model_fields")), model)
    return list(model.model_fields)
