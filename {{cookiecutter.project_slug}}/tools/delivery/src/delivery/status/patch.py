"""Suggests the YAML that keeps a change that was made outside delivery."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import yaml

from delivery.config.identities import RUN_AS
from delivery.config.yaml import AMBIGUOUS_SCALAR, YamlList, YamlMapping
from delivery.plan.normalize import redact
from delivery.plan.planner import PlannedDeploy
from delivery.plan.retention import permission
from delivery.redaction import HIDDEN

_STEP = re.compile(
    r"\.?(?P<field>[^.\[\]']+)|\[(?P<index>\d+)\]|\['(?P<free>(?:[^']|'')*)'\]"
    r"|\[(?P<by>\w+)='(?P<entry>(?:[^']|'')*)'\]"
)
_MERGED = ("environments", "job_clusters", "parameters", "tasks")  # lists that YAML merges by key
_RIGHTS = ("permissions", "grants")
_PRINCIPAL = re.compile(r"\[\w+='([^']*)'\]")

# Characters that YAML reads as a line break, or drops; they are written as escapes.
_BREAKS = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff]")


class _Dumper(yaml.SafeDumper):
    """Quotes texts that YAML 1.2, which the CLI reads, may take for numbers."""


_NUMBER = re.compile(r"(?:0o[0-7]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)\Z")


for _pattern in (_NUMBER, AMBIGUOUS_SCALAR):
    _Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _pattern, list("-+.0123456789"))


class _Step(NamedTuple):
    """One step of a path: a key, or the entry of a list whose field `by` has a name."""

    name: str
    by: str
    start: int


def suggest_patch(planned: PlannedDeploy, key: str, path: str) -> tuple[str, str]:
    """The YAML that would keep one change, and a hint if there is none.

    Tasks, clusters, environments and parameters are merged by key; other lists are given whole.
    """
    owner, _, last = key.rpartition(".")
    rights = last in _RIGHTS
    resource = owner if rights else key
    if path == "etag":
        name = resource.partition(".")[2]
        return "", f"to keep it: databricks bundle generate dashboard --resource {name} --force"
    hint = _refusal(planned, key, path)
    if hint:
        return "", hint
    way, value = _rights(planned, key) if rights else _found(planned, key, path)
    if not value and (rights or value is None):
        return "", deletion_hint(planned, resource, way, last if rights else path)
    if HIDDEN in str(value):
        return "", "the value contains a secret: use a secret scope instead of YAML"
    return _yaml(resource, way, _with_variables(planned, value)), ""


def _refusal(planned: PlannedDeploy, key: str, path: str) -> str:
    """Why a change cannot be kept in YAML, and how to revert it; empty if it can."""
    if key.rpartition(".")[0] in planned.plan.retained or key in planned.plan.retained:
        return f"the resource is retained, and this release does not declare it; {_revert(planned)}"
    if path.partition(".")[0] == RUN_AS:
        return f"every resource must run as the runner; {_revert(planned)}"
    principal = _PRINCIPAL.match(path)
    if not (key.endswith(".permissions") and principal):
        return ""
    remote = planned.raw["plan"][f"resources.{key}"].get("remote_state") or {}
    entries = [e for e in remote.get("__embed__") or () if principal[1] in e.values()]
    owns = any(entry.get("level") == "IS_OWNER" for entry in entries)
    if owns or principal[1] == planned.target.deployer:
        return f"the owner is always the deployer; {_revert(planned)}"
    return ""


def _revert(planned: PlannedDeploy) -> str:
    """The command that reverts drift."""
    target, release = planned.target.name, planned.plan.release
    return f"to revert it: delivery rollback {target} {release} --reason …"


def deletion_hint(
    planned: PlannedDeploy, key: str, way: Sequence[_Step] = (), what: str = "it"
) -> str:
    """How to keep a deletion: the line to delete, if a line declares what was deleted."""
    owner, _, last = key.rpartition(".")
    if last in _RIGHTS:
        key, way, what = owner, [_Step(last, "", 0)], last
    line = declaration_line(planned.target.tree, key, way)
    if line:
        return f"to keep it, delete {what}: {line}"
    return f"no line of {key} declares {what}; see presets and variables; {_revert(planned)}"


def declaration_line(tree: YamlMapping, key: str, way: Sequence[_Step] = ()) -> str:
    """File and line of a declaration; empty if no line of its own declares it."""
    node: Any = tree
    mark = None
    for step in (*(_Step(name, "", 0) for name in ("resources", *key.split(".")[:2])), *way):
        declared = dict(_declared(node, step.by))
        if step.name not in declared:
            return ""
        node, mark = declared[step.name]
    return f"{mark.file}:{mark.line}" if mark else ""


def _declared(node: Any, by: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The children of a node by key, each with its mark."""
    if by and isinstance(node, YamlList):
        yield from ((str(entry.get(by)), (entry, mark)) for entry, mark in node.sections())
    elif isinstance(node, YamlMapping):
        yield from ((name, (node[name], node.marks[name])) for name in node)


def _steps(path: str) -> Iterator[_Step]:
    for found in _STEP.finditer(path):
        name = next(filter(None, found.group("field", "index", "free", "entry")), "")
        by = found["by"] or ("#" if found["index"] else "")
        yield _Step(name.replace("''", "'"), by, found.start())


def _found(planned: PlannedDeploy, key: str, path: str) -> tuple[list[_Step], Any]:
    """The path at which the YAML starts to differ, and the value in the workspace."""
    node = planned.raw["plan"][f"resources.{key}"]
    steps = list(_steps(path))
    whole = (
        n
        for n, (before, step) in enumerate(pairwise(steps), start=1)
        if step.by == "#" or (step.by and before.name not in _MERGED)
    )
    end = next(whole, None)
    if end is None:
        return steps, redact(path, node["changes"][path].get("remote"), whole=True)
    value = node.get("remote_state") or {}
    for step in steps[:end]:
        value = _below(value, step)
    return steps[:end], redact(path[: steps[end].start], value, whole=True)


def _below(value: Any, step: _Step) -> Any:
    if step.by:
        entries = value if isinstance(value, list) else []
        return next((entry for entry in entries if entry.get(step.by) == step.name), None)
    return value.get(step.name) if isinstance(value, Mapping) else None


def _rights(planned: PlannedDeploy, key: str) -> tuple[list[_Step], Any]:
    """All rights in the workspace, without the deployer's, which the CLI writes itself."""
    remote = planned.raw["plan"][f"resources.{key}"].get("remote_state") or {}
    entries = remote.get("__embed__") or [permission(acl) for acl in remote.get("acls") or []]
    own = {planned.target.deployer, "IS_OWNER"} if key.endswith(".permissions") else set()
    kept = [entry for entry in entries if not own & {str(value) for value in entry.values()}]
    return [_Step(key.rpartition(".")[2], "", 0)], kept


def _with_variables(planned: PlannedDeploy, value: Any) -> Any:
    """A value with variables in place of what differs between targets or releases."""
    if isinstance(value, Mapping):
        return {name: _with_variables(planned, entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_with_variables(planned, entry) for entry in value]
    if isinstance(value, str):
        target = planned.target
        value = value.replace(target.files, "${workspace.file_path}")
        value = value.replace(planned.archive.manifest.wheel, "${var.wheel}")
        known = {getattr(target, n): f"${{var.{n}}}" for n in ("deployer", "runner", "planner")}
        return known.get(value, value)
    return value


def _yaml(resource: str, way: Sequence[_Step], value: Any) -> str:
    for step in reversed(way):
        value = [{step.by: step.name, **value}] if step.by else {step.name: value}
    kind, _, name = resource.partition(".")
    document = {"resources": {kind: {name: value}}}
    readable = not _BREAKS.search(json.dumps(document, ensure_ascii=False))
    return str(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=readable, width=math.inf)
    )
