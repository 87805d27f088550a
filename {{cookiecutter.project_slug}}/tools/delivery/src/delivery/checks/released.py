"""`released`: requirements for targets that take releases."""

from collections.abc import Iterator
from typing import Any

from delivery.checks.registry import CheckContext, rule
from delivery.config.bundle import Bundle, resources_of
from delivery.config.identities import EVERYONE, Identities
from delivery.config.target import identities_of
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import Finding

RULE = "released"
_TRIGGERS = ("schedule", "trigger", "continuous")


@rule(RULE, needs="root")
def check_released(context: CheckContext) -> Iterator[Finding]:
    """Targets that do not meet the requirements; only the last one runs jobs on a schedule."""
    bundle, last = context.bundle, context.policy.released[-1:]
    for name in context.released:
        tree = context.targets[name].tree
        mark = bundle.target(name).marks.get("mode") or bundle.tree.section("targets").marks[name]
        for message, hint in _unmet(bundle, name, tree, scheduled=(name,) == last):
            yield Finding(mark.file, mark.line, RULE, f"{name}: {message}", hint)
        yield from _users(tree, mark, name, inside=False)
        yield from _triggers(tree)
        yield from _broad_rights(tree)


def _unmet(
    bundle: Bundle, name: str, tree: YamlMapping, scheduled: bool
) -> Iterator[tuple[str, str]]:
    """The message and the hint of each requirement that a target does not meet."""
    target = bundle.target(name)
    variables, defaults = target.section("variables"), bundle.tree.section("variables")
    if target.get("mode") in (None, "development"):  # others are of no mode, see `target`
        yield "mode: expected production", "mode: production"
    declared = {str(variables.get(field)) for field in Identities._fields}
    resolved = {identity.strip().casefold() for identity in identities_of(bundle, name)}
    if not len(declared) == len(resolved) == 3:
        hint = "Set three application ids in variables of the target."
        yield "deployer, runner and planner: expected three different identities", hint
    if "${var.release}" not in str(target.section("workspace").get("file_path", "")):
        hint = "file_path: ${workspace.root_path}/releases/${var.release}/files"
        yield "workspace.file_path: expected a folder for each release", hint
    if "release" in variables or "default" in defaults.section("release"):
        hint = "Remove its value and its default."
        yield "variables.release: expected no value, because each release sets it", hint
    if tree.get("permissions"):
        hint = "Give permissions to single jobs and pipelines."
        message = (
            "permissions: expected none, because the CLI would replace the folder's permissions"
        )
        yield message, hint
    pause = tree.section("presets").get("trigger_pause_status")
    expected = "UNPAUSED" if scheduled else "PAUSED"
    if pause != expected:
        message = f"presets.trigger_pause_status: given {pause}, expected {expected}"
        yield message, f"presets: {{trigger_pause_status: {expected}}}"


_RIGHTS = ("grants", "permissions", "run_as")


def _users(value: Any, mark: Mark, name: str, *, inside: bool) -> Iterator[Finding]:
    """Users in `run_as`, permissions and grants: their access ends when they leave."""
    if isinstance(value, YamlMapping):
        for key, entry in value.items():
            is_user = key == "user_name" or (key == "principal" and "@" in str(entry))
            if inside and is_user and not isinstance(entry, YamlMapping | list):
                message = f"{name}: {key}: given {entry}, expected a group or a service principal"
                hint = "Name a group, or a service principal by its application id."
                yield Finding(*value.marks[key], RULE, message, hint)
            rights = inside or key in _RIGHTS
            yield from _users(entry, value.marks[key], name, inside=rights)
    elif isinstance(value, list):
        for entry in value:
            yield from _users(entry, mark, name, inside=inside)


def _triggers(tree: YamlMapping) -> Iterator[Finding]:
    """Jobs with several triggers, or with a pause status, which the target sets."""
    for kind, key, resource, (file, line) in resources_of(tree):
        triggers = [name for name in _TRIGGERS if name in resource] if kind == "jobs" else []
        if len(triggers) > 1:
            message = f"jobs.{key}: given {' and '.join(triggers)}, expected one"
            yield Finding(file, line, RULE, message, f"Keep {triggers[0]}, remove the rest.")
        for trigger in triggers:
            if "pause_status" in resource.section(trigger):
                mark = resource.section(trigger).marks["pause_status"]
                message = (
                    f"jobs.{key}: {trigger}.pause_status: expected none, because the target sets it"
                )
                hint = "Remove it. Set presets.trigger_pause_status in targets/ instead."
                yield Finding(*mark, RULE, message, hint)


def _broad_rights(tree: YamlMapping) -> Iterator[Finding]:
    """Permissions and grants that are too broad."""
    for kind, key, resource, (file, line) in resources_of(tree):
        for entry, _ in resource.items_of("permissions").sections():
            if entry.get("level") == "CAN_MANAGE" and entry.get("group_name") in EVERYONE:
                message = f"{kind}.{key}: given CAN_MANAGE for everyone"
                yield Finding(file, line, RULE, message, "Give CAN_VIEW, or name a smaller group.")
        for entry, _ in resource.items_of("grants").sections():
            if {"ALL_PRIVILEGES", "ALL PRIVILEGES"} & {*map(str, entry.items_of("privileges"))}:
                message = f"{kind}.{key}: {entry.get('principal')} has all privileges"
                yield Finding(file, line, RULE, message, "Name privileges: [SELECT, MODIFY]")
