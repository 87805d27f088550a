"""The policy of the project: `delivery.yml`, typed."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from delivery.bundle import Items, Mark, Section, read_yaml
from delivery.errors import DeliveryError, Finding, InvalidFileError, newer

FILE = "delivery.yml"
RULE = "policy"
# What earlier versions of the policy had, and what holds instead.
REMOVED = {
    "cli_versions": "a CLI may deploy if it has what the tool depends on; "
    "tools/cli-requirements.txt says which one pipelines install",
}

_OTHER_MINUTES = 10  # what a delivery takes beside its runs, at most

# YAML 1.2 has no dates: they come as texts.
Day = Annotated[date, BeforeValidator(lambda v: date.fromisoformat(v) if isinstance(v, str) else v)]


def _expression(text: str) -> str:
    try:
        re.compile(text.replace("{domain}", "domain"))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"given {text}, expected a regular expression: {error}") from None
    return text


Approval = Literal["none", "environment", "dispatch"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Project(_Strict):
    """What the project is called, what its jobs run on, and where it is at home."""

    name: str
    compute: str
    url: str = ""
    """The repository's address, for links; never with a user or a token in it."""
    forge: Literal["both", "github", "gitlab"] = "both"
    """What the repository lives on; `both` when that is not decided, or is neither."""


class Branches(_Strict):
    """Which branch is for what."""

    integration: str
    """Where changes come together."""
    targets: Annotated[dict[str, str], Field(min_length=1)]
    """The branch that each released target is delivered from, in the order of promotion."""
    prefixes: list[str]
    """What the name of every other branch starts with; empty where any name will do."""

    @property
    def protected(self) -> tuple[str, ...]:
        """The branches that changes reach by request only."""
        return tuple(dict.fromkeys([self.integration, *self.targets.values()]))


class Release(_Strict):
    """What a release consists of."""

    include: list[str] = ["databricks.yml", "delivery.yml", "resources/", "src/", "targets/"]
    """Tracked files and folders (with a slash at the end) that travel."""
    keep: Annotated[int, Field(ge=2)] = 10
    """How many releases a target keeps to go back to; `delivery prune` removes older ones."""


class Naming(_Strict):
    """How things are called: regular expressions that names must match as a whole."""

    keys: Annotated[str, AfterValidator(_expression)] = "{domain}(_[a-z0-9]+)*"
    """Keys of resources; `{domain}` stands for the folder below resources/."""
    tags: list[str] = ["project", "domain"]
    """Tags that every job and pipeline carries."""


class Verify(_Strict):
    """What proves a delivery."""

    jobs: dict[str, str] = {}
    """The job of each domain that runs after every deploy, such as `flights: flights_daily`."""
    minutes: Annotated[int, Field(ge=1)] = 20
    """How long such a run may take."""


class Guard(_Strict):
    """What a deploy may not do by accident."""

    protected: list[str] = []
    """Keys that are never destroyed, named or not, such as `volumes.flights_landing`."""
    jobs_deleted: Annotated[int, Field(ge=0)] = 3
    """How many jobs, at most a fifth of all, may go in one deploy without being named."""
    rights: dict[str, Literal["mark", "refuse"]] = {}
    """Whether wider or removed rights are marked or refused on a target."""


class Freeze(_Strict):
    """A time in which a target takes no deploy; going back is always possible."""

    first: Day
    last: Day
    """Both days belong to it, in UTC."""
    targets: list[str]
    reason: str

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"given the last day {self.last} before the first, {self.first}")
        return self


class Allow(_Strict):
    """One exception, reviewed with the change that needs it, and used up once."""

    key: str
    """What may be destroyed, such as `volumes.flights_landing`; `freeze`; or `promotion`, where a
    release leaves out a target that the running one had."""
    reason: str
    until: Day
    """The last day, in UTC, on which it counts."""

    @property
    def id(self) -> str:
        """What it is remembered by once it is used up."""
        return f"{self.key} until {self.until}"


class Drift(_Strict):
    """What hands may change in a workspace."""

    ignore: list[str] = []
    """Patterns of `key: field`, such as `jobs.*: schedule.pause_status`."""


class Notify(_Strict):
    """Whom to tell of what went wrong."""

    webhook_env: str
    """The variable with the address of an incoming webhook: such an address is a secret."""


class Data(_Strict):
    """What this release does to data."""

    irreversible: str = ""
    """Why going back across this release is refused; empty when it is not."""


class _Promotion(_Strict):
    """The targets of a release, in the order of promotion."""

    targets: dict[str, str] = {}


class _Proof(_Strict):
    """What proved a delivery."""

    jobs: dict[str, str] = {}


class Terms(_Strict):
    """What a running release's policy demands of the one that follows it.

    It is kept in the event that delivered the release, under the names that it has in
    `delivery.yml`. Whoever renames a field or changes what one means raises `SCHEMA`.
    """

    branches: _Promotion = _Promotion()
    verify: _Proof = _Proof()
    guard: Guard = Guard()
    approval: dict[str, Approval] = {}
    plan_hours: Annotated[int, Field(ge=1)] | None = None
    freezes: list[Freeze] = []

    SCHEMA: ClassVar[int] = 1

    @classmethod
    def read(cls, stored: Mapping[str, Any], release: str) -> "Terms":
        """Read what an event keeps of the policy of a release; earlier events keep all of it.

        Raises:
            DeliveryError: a newer tool wrote it, or somebody edited it.
        """
        schema = stored.get("schema", cls.SCHEMA)
        if isinstance(schema, int) and schema > cls.SCHEMA:
            raise newer(f"policy of {release}, which runs,", schema, cls.SCHEMA)
        try:
            return cls.model_validate(dict(stored), extra="ignore")
        except ValidationError as error:
            first = error.errors()[0]
            raise DeliveryError(
                f"policy of {release}, which runs: {'.'.join(map(str, first['loc']))}: "
                f"{first['msg']}\n    The event that delivered {release} is damaged: ask an admin "
                "of the workspace for its history."
            ) from None

    def stored(self) -> dict[str, Any]:
        """The terms as an event keeps them."""
        return {"schema": self.SCHEMA, **self.model_dump(mode="json")}

    @property
    def released(self) -> tuple[str, ...]:
        """The targets that take releases only, in the order of promotion."""
        return tuple(self.branches.targets)

    def approval_of(self, target: str) -> Approval:
        """How a plan for a target is approved."""
        return _approval(self.released, self.approval, target)

    def source(self, target: str) -> str | None:
        """The target that a release must be verified on before it reaches `target`."""
        return _source(self.released, target)


class Policy(_Strict):
    """All of `delivery.yml`."""

    project: Project
    branches: Branches
    release: Release = Release()
    naming: Naming = Naming()
    verify: Verify = Verify()
    guard: Guard = Guard()
    may_differ: list[str] = []
    """What may differ between released targets, as patterns of paths such as `presets.tags.*`."""
    approval: dict[str, Approval] = {}
    """How a plan is approved: by reviewers of the forge's environment, or by its digest; the last
    target asks for `environment` unless something else stands here. The pipelines wait for it
    before the last target only."""
    plan_hours: Annotated[int, Field(ge=1)] = 72
    """How long a saved plan may wait."""
    freezes: list[Freeze] = []
    allow: list[Allow] = []
    drift: Drift = Drift()
    preview_days: Annotated[int, Field(ge=1)] = 7
    """The age at which `delivery preview sweep` removes a preview."""
    notify: Notify | None = None
    data: Data = Data()

    @model_validator(mode="before")
    @classmethod
    def _without_removed(cls, given: Any) -> Any:
        """Fields of earlier versions mean nothing, and stop nothing."""
        if isinstance(given, dict) and not REMOVED.keys().isdisjoint(given):
            return {name: value for name, value in given.items() if name not in REMOVED}
        return given

    @model_validator(mode="after")
    def _known_targets(self) -> Self:
        named = {
            "approval": [*self.approval],
            "guard.rights": [*self.guard.rights],
            "freezes": [target for freeze in self.freezes for target in freeze.targets],
        }
        for place, targets in named.items():
            unknown = [target for target in targets if target not in self.branches.targets]
            if unknown:
                known = ", ".join(self.branches.targets)
                raise ValueError(f"{place}: given {unknown[0]}, expected one of {known}")
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
        """How long deploy, verification and the way back may take, so long a token must live."""
        return 2 * self.verify.minutes + _OTHER_MINUTES

    def source(self, target: str) -> str | None:
        """The target that a release must be verified on before it reaches `target`."""
        return _source(self.released, target)

    @property
    def terms(self) -> Terms:
        """What it demands of the release that follows."""
        return Terms(
            branches=_Promotion(targets=self.branches.targets),
            verify=_Proof(jobs=self.verify.jobs),
            guard=self.guard,
            approval=self.approval,
            plan_hours=self.plan_hours,
            freezes=self.freezes,
        )

    def frozen(self, target: str, now: datetime) -> Freeze | None:
        """The freeze that holds a target now."""
        today = now.astimezone(UTC).date()
        held = (f for f in self.freezes if target in f.targets and f.first <= today <= f.last)
        return next(held, None)

    def stricter(self, other: "Policy | Terms") -> "Policy":
        """What holds when two releases meet: exceptions of this one, the stricter of all else."""
        guard = Guard(
            protected=[*self.guard.protected, *other.guard.protected],
            jobs_deleted=min(self.guard.jobs_deleted, other.guard.jobs_deleted),
            rights=_strictest(self.guard.rights, other.guard.rights, ("mark", "refuse")),
        )
        ways = [{target: p.approval_of(target) for target in p.released} for p in (self, other)]
        changes = {
            "guard": guard,
            "freezes": [*self.freezes, *other.freezes],
            "approval": _strictest(ways[0], ways[1], ("none", "environment", "dispatch")),
            "plan_hours": min(self.plan_hours, other.plan_hours or self.plan_hours),
        }
        return self.model_copy(update=changes)


def _approval(released: Sequence[str], chosen: Mapping[str, Approval], target: str) -> Approval:
    return chosen.get(target, "environment" if target in released[-1:] else "none")


def _source(released: Sequence[str], target: str) -> str | None:
    index = released.index(target) if target in released else 0
    return released[index - 1] if index else None


def _strictest(mine: dict[str, Any], theirs: dict[str, Any], order: tuple[str, ...]) -> Any:
    """For each target the later word of `order`."""
    return {
        target: max((d[target] for d in (mine, theirs) if target in d), key=order.index)
        for target in {**mine, **theirs}
    }


def load_policy(root: Path) -> Policy:
    """Read `delivery.yml`.

    Raises:
        InvalidFileError: the file does not follow the form; line and field of each slip are told.
    """
    document = read_yaml(root, FILE)
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        found = [_finding(document, e["loc"], e["type"], e["msg"]) for e in error.errors()]
        raise InvalidFileError(*found) from None


def schema() -> dict[str, Any]:
    """The JSON schema of `delivery.yml`, for editors."""
    return Policy.model_json_schema()


def _finding(document: Section, place: tuple[int | str, ...], kind: str, said: str) -> Finding:
    """One slip, as the model says it."""
    path, line = [str(step) for step in place], _mark(document, place).line
    message, mend = said, "tools/delivery/delivery.schema.json says what may stand here."
    if kind == "missing":
        mend = f"Add {path[-1]}, as tools/delivery/delivery.schema.json describes it."
    if kind == "extra_forbidden":
        fields = _fields(path[:-1])
        near = next(iter(difflib.get_close_matches(path[-1], fields, 1)), "")
        message = f"unknown key, expected {near or 'one of ' + ', '.join(fields)}"
        mend = f"Rename it to {near}." if near else "Remove it."
    return Finding(FILE, line, RULE, ": ".join(filter(None, [".".join(path), message])), mend)


def removed_fields(root: Path) -> Iterator[Finding]:
    """Fields of `delivery.yml` that an earlier version had; they mean nothing any more."""
    for name in read_yaml(root, FILE).keys() & REMOVED.keys():
        message = f"{name}: means nothing any more: {REMOVED[name]}"
        yield Finding(FILE, 0, RULE, message, f"Remove {name}.", "warning")


def line_of(root: Path, path: str) -> int:
    """The line of `delivery.yml` in which the deepest part of a dotted path stands."""
    return _mark(read_yaml(root, FILE), tuple(path.split("."))).line


def _fields(path: list[str]) -> list[str]:
    """The keys that may stand at a path of the policy."""
    model: Any = Policy
    for step in path:
        if not step.isdecimal():
            model = model.model_fields[step].annotation
        model = next((a for a in get_args(model) if hasattr(a, "model_fields")), model)
    return list(model.model_fields)


def _mark(document: Section, path: tuple[int | str, ...]) -> Mark:
    """Where the last part of a path stands that is there."""
    value, mark = document, Mark(FILE, 0)
    for step in path:
        if isinstance(value, Section) and step in value:
            value, mark = value[str(step)], value.marks[str(step)]
        elif isinstance(value, Items) and isinstance(step, int):
            value, mark = value[step], value.marks[step]
    return mark


def find_root(start: Path) -> Path:
    """The project around `start`: the nearest folder with a `databricks.yml`.

    Raises:
        DeliveryError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / "databricks.yml").is_file():
            return folder
    raise DeliveryError(
        f"project: given {start}, expected a folder with a databricks.yml in it or above it"
    )
