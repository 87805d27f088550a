"""What holds for targets that take releases."""

from collections.abc import Iterator
from typing import Any

from delivery.bundle import Bundle, Mark, Section
from delivery.errors import Finding
from delivery.rules.conventions import resources
from delivery.target import identities_of

RULE = "released"
PLACEHOLDER = "placeholder"

_PLACEHOLDERS = (
    "dbc-00000000-0000.",
    "adb-0000000000000000.",
    "//0000000000000000.",
    "00000000-0000-0000",
)
_EVERYONE = ("users", "account users")
_STARTS = ("schedule", "trigger", "continuous")


def is_placeholder(value: str) -> bool:
    """Whether a host or an id still stands for "not set"."""
    return not value or any(part in value for part in _PLACEHOLDERS)


def check_released(bundle: Bundle, name: str, tree: Section, scheduled: bool) -> Iterator[Finding]:
    """The rules of one released target.

    Args:
        tree: its resolved configuration.
        scheduled: jobs start by themselves there.
    """
    target = bundle.target(name)
    home = target.marks.get("mode") or bundle.tree.section("targets").marks[name]
    for good, message, mend in _target_rules(bundle, name, tree, scheduled):
        if not good:
            yield Finding(home.file, home.line, RULE, f"{name}: {message}", mend)
    yield from _persons(tree, home, name)
    yield from _starts(tree)
    yield from _rights(tree)


def check_placeholders(bundle: Bundle, name: str) -> Iterator[Finding]:
    """What is not set yet; a warning until the first delivery."""
    target, home = bundle.target(name), bundle.tree.section("targets").marks[name]
    workspace, variables = target.section("workspace"), target.section("variables")
    places = [(workspace, "host"), *((variables, v) for v in ("deployer", "runner", "planner"))]
    for section, key in places:
        mark = section.marks.get(key) or (home if key == "host" else None)
        if mark and is_placeholder(str(section.get(key, ""))):
            message = f"{name}: {key} is not set yet"
            mend = "Set it before the first delivery to this target."
            yield Finding(mark.file, mark.line, PLACEHOLDER, message, mend, "warning")
    yield from _everyone(bundle, name)


def _everyone(bundle: Bundle, name: str) -> Iterator[Finding]:
    """Until a group is named, whoever is in the account may read what is released."""
    own, common = bundle.target(name).section("variables"), bundle.tree.section("variables")
    place, key = (own, "readers") if "readers" in own else (common.section("readers"), "default")
    if place.get(key) in _EVERYONE:
        mark, message = place.marks[key], f"{name}: readers: given {place[key]}: all may read it"
        mend = "Name a group of people, here or in the variables of the target."
        yield Finding(mark.file, mark.line, PLACEHOLDER, message, mend, "warning")


def _target_rules(
    bundle: Bundle, name: str, tree: Section, scheduled: bool
) -> Iterator[tuple[bool, str, str]]:
    """Whether each rule holds, what is told where it does not, and how to mend it."""
    target, variables = bundle.target(name), bundle.target(name).section("variables")
    ids = [str(variables.get(v)) for v in ("deployer", "runner", "planner")]
    known = {identity.strip().casefold() for identity in identities_of(bundle, name)}
    workspace, pause = (
        target.section("workspace"),
        tree.section("presets").get("trigger_pause_status"),
    )
    yield target.get("mode") == "production", "mode: expected production", "mode: production"
    message = "deployer, runner and planner: expected three identities"
    yield (
        len({*ids}) == len(known) == 3,
        message,
        "Set three application ids in variables of the target.",
    )
    path = str(workspace.get("file_path", ""))
    message = "workspace.file_path: expected a folder for each release"
    mend = "file_path: ${workspace.root_path}/releases/${var.release}/files"
    yield "${var.release}" in path, message, mend
    assigned = "release" in variables or "default" in bundle.tree.section("variables").section(
        "release"
    )
    message = "variables.release: expected none, an archive brings its own"
    yield not assigned, message, "Remove its value and its default."
    message = "permissions: expected none, the CLI would put them in place of the folder's own"
    yield not tree.get("permissions"), message, "Give permissions to single jobs and pipelines."
    expected = "UNPAUSED" if scheduled else "PAUSED"
    message = f"presets.trigger_pause_status: given {pause}, expected {expected}"
    yield pause == expected, message, f"presets: {{trigger_pause_status: {expected}}}"


def _persons(value: Any, mark: Mark, name: str) -> Iterator[Finding]:
    """A person's identity in what runs: it ends when they leave."""
    if isinstance(value, Section):
        for key, entry in value.items():
            if key == "user_name" or (key == "principal" and "@" in str(entry)):
                place = value.marks[key]
                message = f"{name}: {key}: given {entry}, expected a group or a service principal"
                mend = "Name a group, or a service principal by its application id."
                yield Finding(place.file, place.line, RULE, message, mend)
            yield from _persons(entry, value.marks[key], name)
    elif isinstance(value, list):
        for entry in value:
            yield from _persons(entry, mark, name)


def _starts(tree: Section) -> Iterator[Finding]:
    """The target decides what is paused, and a job starts in one way."""
    for kind, key, resource, (file, line) in resources(tree):
        ways = [way for way in _STARTS if way in resource] if kind == "jobs" else []
        if len(ways) > 1:
            message = f"jobs.{key}: given {' and '.join(ways)}, expected one"
            yield Finding(file, line, RULE, message, f"Keep {ways[0]}, remove the rest.")
        for way in ways:
            if "pause_status" in resource.section(way):
                place = resource.section(way).marks["pause_status"]
                message = f"jobs.{key}: {way}.pause_status: the target decides: presets in targets/"
                yield Finding(place.file, place.line, RULE, message, "Remove it here.")


def _rights(tree: Section) -> Iterator[Finding]:
    """Rights that no review would notice later."""
    for kind, key, resource, (file, line) in resources(tree):
        for entry, _ in resource.items_of("permissions").sections():
            if entry.get("level") == "CAN_MANAGE" and entry.get("group_name") in _EVERYONE:
                message = f"{kind}.{key}: everyone may manage it"
                yield Finding(file, line, RULE, message, "Give CAN_VIEW, or name a smaller group.")
        for entry, _ in resource.items_of("grants").sections():
            if {"ALL_PRIVILEGES", "ALL PRIVILEGES"} & {*map(str, entry.items_of("privileges"))}:
                message = f"{kind}.{key}: {entry.get('principal')} gets all privileges"
                yield Finding(file, line, RULE, message, "Name what it needs: [SELECT, MODIFY]")
