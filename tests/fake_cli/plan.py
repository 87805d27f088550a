"""What a deploy would change: the configuration, the state and the workspace compared."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from fake_cli import VERSION
from fake_cli.api import ApiError, Client, Json, persistent
from fake_cli.diff import at, covered, differences, put
from fake_cli.errors import CommandError, say
from fake_cli.kinds import Kind, Rules, kind_of
from fake_cli.resources import OBJECT_IDS, REFERENCE, Node
from fake_cli.state import State

PLAN_VERSION = 2
_SEVERITY = ("skip", "update", "update_id", "create", "recreate", "delete")
_KEEP_ID = {"skip", "update"}

# What stands at a path of a node; None is not known yet.
Known = Callable[[str, str], Any]


def load_plan(path: Path, state: State) -> Json:
    """Read a saved plan.

    Raises:
        CommandError: it was made for another state.
    """
    plan: Json = json.loads(path.read_text(encoding="utf-8"))
    version, writer = plan.get("plan_version", 0), plan.get("cli_version", "")
    if version != PLAN_VERSION:
        raise CommandError(
            f'plan version mismatch: plan has version {version} (generated with CLI "{writer}"), '
            f"but current version is {PLAN_VERSION}"
        )
    if writer != VERSION:
        say(f"Warn: Plan was created with CLI version {writer} but current version is {VERSION}")
    _refuse_stale(plan, state)
    return plan


def _refuse_stale(plan: Json, state: State) -> None:
    lineage, serial = plan.get("lineage", ""), plan.get("serial", 0)
    if lineage and lineage != state.lineage:
        raise CommandError(
            f'plan lineage "{lineage}" does not match state lineage "{state.lineage}"; '
            "the state may have been modified by another process"
        )
    if lineage and serial != state.serial:
        raise CommandError(
            f"plan serial {serial} does not match state serial {state.serial}; the state has "
            "been modified since the plan was created. Please run 'bundle plan' again"
        )


def order(plan: Json) -> list[str]:
    """The nodes of a plan, each after what it depends on; deletions the other way round."""
    before: dict[str, set[str]] = {key: set() for key in sorted(plan)}
    for key, entry in plan.items():
        for dependency in entry.get("depends_on", []):
            node = dependency["node"]
            if node not in plan and entry["action"] != "delete":
                raise CommandError(
                    f'invalid dependency "{dependency["label"]}", no such node "{node}"'
                )
            if node in plan:
                first, then = (key, node) if entry["action"] == "delete" else (node, key)
                before[then].add(first)
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise CommandError(f"cycle detected: {' -> '.join(error.args[1])}") from None


@dataclass
class Planner:
    """Makes the plan; reads only."""

    client: Client
    state: State
    nodes: dict[str, Node]
    plan: Json = field(default_factory=dict)
    remotes: Json = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def run(self) -> Json:
        """The plan as the CLI prints it.

        Raises:
            CommandError: something could not be read.
        """
        for key, node in self.nodes.items():
            if node.kind == "grants" and not node.state["__embed__"] and key not in self.state.ids:
                continue
            self.plan[key] = {"depends_on": node.depends_on, "action": ""}
        for key in self.state.entries.keys() - self.nodes.keys():
            depends_on = self.state.entries[key].get("depends_on", [])
            self.plan[key] = {"depends_on": depends_on, "action": "delete"}
        for key in order(self.plan):
            self._enter(key)
        if self.failures:
            raise CommandError("\n\nError: ".join([*self.failures, "planning failed"]))
        return self._document()

    def _document(self) -> Json:
        head: Json = {"plan_version": PLAN_VERSION, "cli_version": VERSION}
        if self.state.serial:
            head |= {"lineage": self.state.lineage, "serial": self.state.serial}
        entries = {
            key: {name: value for name, value in entry.items() if value not in ({}, [], None)}
            for key, entry in sorted(self.plan.items())
        }
        return {**head, "plan": entries}

    def _enter(self, key: str) -> None:
        try:
            if self.plan[key]["action"] == "delete":
                self._deletion(key)
            else:
                self._compared(key, self.nodes[key])
        except CommandError as error:
            self.failures.append(f"cannot plan {key}: {error}")

    def _deletion(self, key: str) -> None:
        try:
            identity = self.state.ids[key]
            self.plan[key]["remote_state"] = persistent(
                lambda: kind_of(key).read(self.client, identity)
            )
        except ApiError as error:
            if error.missing:
                self.plan[key]["gone"] = True
            else:
                say(f'Warn: reading {key} id="{identity}": {error}')

    def _compared(self, key: str, node: Node) -> None:
        value, variables = copy.deepcopy(node.state), dict(node.vars)
        entry = self.plan[key]
        resolve_texts(value, variables, self._known)
        if not value.get("__embed__", True):
            del value["__embed__"]
        entry["new_state"] = {"value": value, **({"vars": variables} if variables else {})}
        saved = self.state.entries.get(key)
        if not saved or not saved["__id__"]:
            entry["action"] = "create"
            return
        remote = self._remote(key, saved["__id__"])
        entry["remote_state"] = remote
        entry["changes"] = self._changes(kind_of(key), saved["state"], value, remote)
        actions = [change["action"] for change in entry["changes"].values()] or ["skip"]
        entry["action"] = max(actions, key=_SEVERITY.index) if remote else "create"
        self.remotes[key] = remote
        if entry["action"] == "skip":
            del entry["new_state"]

    def _remote(self, key: str, identity: str) -> Json | None:
        try:
            return persistent(lambda: kind_of(key).read(self.client, identity))
        except ApiError as error:
            if error.missing:
                return None
            raise CommandError(f'reading id="{identity}": {error}') from None
        except CommandError as error:
            raise CommandError(f'reading id="{identity}": {error}') from None

    def _known(self, key: str, path: str) -> Any:
        """What a reference stands for, as far as it is known before the deploy."""
        target, action = self.nodes.get(key), self.plan.get(key, {}).get("action")
        if target is None:
            raise CommandError(f"reference to {key}: no such resource")
        if path == "id":
            return self.state.ids.get(key) if action in _KEEP_ID else None
        value = at(target.state, path)
        if value is not None and not (isinstance(value, str) and "${" in value):
            return value
        settled = action == "skip" or (action == "update" and path in OBJECT_IDS)
        return at(self.remotes.get(key), path) if settled else None

    def _changes(self, kind: Kind, old: Json, new: Json, remote: Json | None) -> Json:
        seen = None if remote is None else kind.comparable(remote)
        changes: Json = {}
        for path, before, after in differences(old, new):
            changes[path] = {"old": before, "new": after, "remote": at(seen, path)}
        for path, there, after in differences(seen, new) if seen is not None else ():
            known = changes.setdefault(path, {"old": at(old, path), "new": after})
            known["remote"] = there
        return {path: _judged(kind, path, changes[path]) for path in sorted(changes)}


def _judged(kind: Kind, path: str, change: Json) -> Json:
    action, reason = _verdict(kind.rules, path, **change)
    if path == "etag":
        action, reason = ("skip" if change["old"] == change["remote"] else "update"), "custom"
    head = {"action": action, **({"reason": reason} if reason else {})}
    return head | {name: value for name, value in change.items() if value is not None}


def _verdict(rules: Rules, path: str, old: Any, new: Any, remote: Any) -> tuple[str, str]:
    if any(covered(path, rule) for rule in rules.ignore_local):
        return "skip", "ignored"
    local, missing = old != new, any(covered(path, rule) for rule in rules.not_returned)
    ignored = _reason(rules.ignore_remote, path)
    if remote == new and not ignored and not missing:
        return "skip", "remote_already_set"
    if not (old or new or remote):
        return "skip", "empty"
    if ignored and not local:
        return "skip", ignored
    for table, action in ((rules.identity, "recreate"), (rules.renames, "update_id")):
        if reason := _reason(table, path):
            return (action if local else "skip"), reason
    if old is None and new is None and _backend_default(rules, path, remote):
        return "skip", "backend_default"
    if missing and not local:
        return "skip", "missing_in_remote"
    if reason := _reason(rules.recreate, path):
        return "recreate", reason
    return "update", ""


def _reason(table: dict[str, str], path: str) -> str:
    return next((reason for rule, reason in table.items() if covered(path, rule)), "")


def _backend_default(rules: Rules, path: str, remote: Any) -> bool:
    return any(
        covered(path, rule) and (not values or remote in values)
        for rule, values in rules.backend.items()
    )


def resolve_texts(value: Json, variables: dict[str, str], known: Known) -> None:
    """Put in what references stand for; what is not known yet stays."""
    for path, text in [*_open_texts(value), *variables.items()]:
        resolved = _resolved(text, known)
        still_open = isinstance(resolved, str) and bool(REFERENCE.search(resolved))
        if path not in variables or not still_open:
            put(value, path, resolved)
        if still_open:
            variables[path] = str(resolved)
        else:
            variables.pop(path, None)


def _resolved(text: str, known: Known) -> Any:
    whole = REFERENCE.fullmatch(text)
    if whole:
        found = known(whole[1], whole[2])
        return text if found is None else found

    def found_in(match: re.Match[str]) -> str:
        found = known(match[1], match[2])
        return match[0] if found is None else str(found)

    return REFERENCE.sub(found_in, text)


def _open_texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            step = f"{path}.{key}" if path else key
            yield from _open_texts(entry, step if key.isidentifier() else f"{path}['{key}']")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _open_texts(entry, f"{path}[{index}]")
    elif isinstance(value, str) and REFERENCE.search(value):
        yield path, value


def counts(plan: Json) -> tuple[int, int, int, int]:
    """How many nodes are made, changed, deleted and left alone; recreating is two of them."""
    actions = [entry["action"] for entry in plan.values()]
    made = sum(action in ("create", "recreate") for action in actions)
    changed = sum(action in ("update", "update_id") for action in actions)
    deleted = sum(action in ("delete", "recreate") for action in actions)
    return made, changed, deleted, actions.count("skip")
