"""The YAML that makes the project's own what was found in a workspace."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import yaml

from delivery.bundle import Items, Section
from delivery.bundle.document import AMBIGUOUS
from delivery.plan import HIDDEN, shown
from delivery.prepare import Prepared
from delivery.retain import permission
from delivery.run_as import KEY

_STEP = re.compile(
    r"\.?(?P<field>[^.\[\]']+)|\[(?P<index>\d+)\]|\['(?P<free>(?:[^']|'')*)'\]"
    r"|\[(?P<by>\w+)='(?P<entry>(?:[^']|'')*)'\]"
)
_MERGED = ("environments", "job_clusters", "parameters", "tasks")  # lists that YAML merges by key
_RIGHTS = ("permissions", "grants")
_PRINCIPAL = re.compile(r"\[\w+='([^']*)'\]")

# What YAML takes for the end of a line, or for nothing, is written by its number.
_BREAKS = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff]")


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.2, which the CLI reads, takes for a number, and what may be one."""


_NUMBER = re.compile(r"(?:0o[0-7]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)\Z")
for _pattern in (_NUMBER, AMBIGUOUS):
    _Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _pattern, list("-+.0123456789"))


class _Step(NamedTuple):
    """One step of a path: a key, or an entry of a list that is known `by` something."""

    name: str
    by: str
    start: int


def propose(prepared: Prepared, key: str, path: str) -> tuple[str, str]:
    """The YAML for one field that hands changed, else what to do instead.

    Tasks, clusters, environments and parameters are merged by key; any other list is given whole.
    """
    owner, _, last = key.rpartition(".")
    rights = last in _RIGHTS
    resource = owner if rights else key
    if path == "etag":
        name = resource.partition(".")[2]
        return "", f"to adopt it: databricks bundle generate dashboard --resource {name} --force"
    note = _not_adopted(prepared, key, path)
    if note:
        return "", note
    way, value = _rights(prepared, key) if rights else _found(prepared, key, path)
    if not value and (rights or value is None):
        return "", to_delete(prepared, resource, way, last if rights else path)
    if HIDDEN in str(value):
        return "", "it holds a secret: no YAML is proposed, name a secret scope instead"
    return _yaml(resource, way, _named(prepared, value)), ""


def _not_adopted(prepared: Prepared, key: str, path: str) -> str:
    """Why a change by hand cannot become the project's own; empty when it can."""
    if key.rpartition(".")[0] in prepared.plan.retained or key in prepared.plan.retained:
        return f"it is retained and in no YAML of this release; {_back(prepared)}"
    if path.partition(".")[0] == KEY:
        return f"everything runs as the runner; {_back(prepared)}"
    principal = _PRINCIPAL.match(path)
    if not (key.endswith(".permissions") and principal):
        return ""
    remote = prepared.raw["plan"][f"resources.{key}"].get("remote_state") or {}
    entries = [e for e in remote.get("__embed__") or () if principal[1] in e.values()]
    owns = any(entry.get("level") == "IS_OWNER" for entry in entries)
    if owns or principal[1] == prepared.target.deployer:
        return f"the deployer owns what it delivers; {_back(prepared)}"
    return ""


def _back(prepared: Prepared) -> str:
    """The command that undoes what hands did."""
    target, release = prepared.target.name, prepared.plan.release
    return f"put it back: delivery rollback {target} {release} --reason …"


def to_delete(prepared: Prepared, key: str, way: Sequence[_Step] = (), what: str = "it") -> str:
    """How to adopt that something is gone: which line to delete, where a line declares it."""
    owner, _, last = key.rpartition(".")
    if last in _RIGHTS:
        key, way, what = owner, [_Step(last, "", 0)], last
    place = where(prepared.target.tree, key, way)
    if place:
        return f"to adopt it, delete {what}: {place}"
    return f"no line of {key} declares {what}, see presets and variables; {_back(prepared)}"


def where(tree: Section, key: str, way: Sequence[_Step] = ()) -> str:
    """File and line of what a release declares; empty when no line of its own does."""
    node: Any = tree
    mark = None
    for step in (*(_Step(name, "", 0) for name in ("resources", *key.split(".")[:2])), *way):
        declared = dict(_declared(node, step.by))
        if step.name not in declared:
            return ""
        node, mark = declared[step.name]
    return f"{mark.file}:{mark.line}" if mark else ""


def _declared(node: Any, by: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """What is below a node, by key, with its place."""
    if by and isinstance(node, Items):
        yield from ((str(entry.get(by)), (entry, mark)) for entry, mark in node.sections())
    elif isinstance(node, Section):
        yield from ((name, (node[name], node.marks[name])) for name in node)


def _steps(path: str) -> Iterator[_Step]:
    for found in _STEP.finditer(path):
        name = next(filter(None, found.group("field", "index", "free", "entry")), "")
        by = found["by"] or ("#" if found["index"] else "")
        yield _Step(name.replace("''", "'"), by, found.start())


def _found(prepared: Prepared, key: str, path: str) -> tuple[list[_Step], Any]:
    """Where the YAML begins to differ, and what was found there."""
    node = prepared.raw["plan"][f"resources.{key}"]
    steps = list(_steps(path))
    whole = (
        n
        for n, (before, step) in enumerate(pairwise(steps), start=1)
        if step.by == "#" or (step.by and before.name not in _MERGED)
    )
    end = next(whole, None)
    if end is None:
        return steps, shown(path, node["changes"][path].get("remote"), whole=True)
    value = node.get("remote_state") or {}
    for step in steps[:end]:
        value = _below(value, step)
    return steps[:end], shown(path[: steps[end].start], value, whole=True)


def _below(value: Any, step: _Step) -> Any:
    if step.by:
        entries = value if isinstance(value, list) else []
        return next((entry for entry in entries if entry.get(step.by) == step.name), None)
    return value.get(step.name) if isinstance(value, Mapping) else None


def _rights(prepared: Prepared, key: str) -> tuple[list[_Step], Any]:
    """All rights as they were found, but the deployer's: the CLI writes those by itself."""
    remote = prepared.raw["plan"][f"resources.{key}"].get("remote_state") or {}
    entries = remote.get("__embed__") or [permission(acl) for acl in remote.get("acls") or []]
    own = {prepared.target.deployer, "IS_OWNER"} if key.endswith(".permissions") else set()
    kept = [entry for entry in entries if not own & {str(value) for value in entry.values()}]
    return [_Step(key.rpartition(".")[2], "", 0)], kept


def _named(prepared: Prepared, value: Any) -> Any:
    """What is another on each target or in each release, by its variable."""
    if isinstance(value, Mapping):
        return {name: _named(prepared, entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_named(prepared, entry) for entry in value]
    if isinstance(value, str):
        target = prepared.target
        value = value.replace(target.files, "${workspace.file_path}")
        value = value.replace(prepared.archive.manifest.wheel, "${var.wheel}")
        known = {getattr(target, n): f"${{var.{n}}}" for n in ("deployer", "runner", "planner")}
        return known.get(value, value)
    return value


def _yaml(resource: str, way: Sequence[_Step], value: Any) -> str:
    for step in reversed(way):
        value = [{step.by: step.name, **value}] if step.by else {step.name: value}
    kind, _, name = resource.partition(".")
    document = {"resources": {kind: {name: value}}}
    shown = not _BREAKS.search(json.dumps(document, ensure_ascii=False))
    return str(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=shown, width=math.inf)
    )
