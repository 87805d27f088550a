"""What a plan would create and is there already: left by a deploy that was cut off, or by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from delivery.plan import Change
from delivery.resources import Kind, about
from delivery.target import Target
from delivery.workspace import Workspace

Find = Callable[[Workspace, Mapping[str, Any]], str]


def existing(workspace: Workspace, target: Target, changes: Sequence[Change]) -> dict[str, str]:
    """The id of what stands where a key would be made; jobs, which share names, apart.

    What the caller may not see is taken for absent: the CLI will tell.
    """
    kinds = target.tree.section("resources")
    defaults = {"parent_path": f"{target.root}/resources", "root": target.root}
    found = {}
    for change in changes:
        kind, _, name = change.key.partition(".")
        if change.action != "create" or change.kind != kind:
            continue
        resource = defaults | kinds.section(kind).section(name)
        if kind in _FIND:
            found[change.key] = _FIND[kind](workspace, resource)
        elif about(kind).address:
            found[change.key] = _at_address(workspace, about(kind), resource)
    return {key: identity for key, identity in found.items() if identity}


def _at_address(workspace: Workspace, kind: Kind, resource: Mapping[str, Any]) -> str:
    """The id of what is known by its own fields; what lacks one of them is found by nobody."""
    try:
        identity = kind.id.format(**resource)
    except KeyError:
        return ""
    path, _, query = kind.address.format(id=identity).partition("?")
    return identity if workspace.look(path, dict(parse_qsl(query))) else ""


def _scope(workspace: Workspace, resource: Mapping[str, Any]) -> str:
    scopes = (workspace.look("/api/2.0/secrets/scopes/list") or {}).get("scopes", [])
    name = str(resource.get("name"))
    return name if any(scope.get("name") == name for scope in scopes) else ""


def _dashboard(workspace: Workspace, resource: Mapping[str, Any]) -> str:
    path = f"{resource['parent_path']}/{resource.get('display_name')}.lvdash.json"
    status = workspace.look("/api/2.0/workspace/get-status", {"path": path}) or {}
    return str(status.get("resource_id", ""))


def _pipeline(workspace: Workspace, resource: Mapping[str, Any]) -> str:
    name = str(resource.get("name"))
    answer = workspace.look("/api/2.0/pipelines", {"filter": f"name LIKE '{name}'"}) or {}
    for one in answer.get("statuses", []):
        if one.get("name") == name and _is_ours(workspace, one["pipeline_id"], resource["root"]):
            return str(one["pipeline_id"])
    return ""


def _is_ours(workspace: Workspace, pipeline: str, root: str) -> bool:
    """Whether this target deployed a pipeline, or a person made it."""
    spec = (workspace.look(f"/api/2.0/pipelines/{pipeline}") or {}).get("spec", {})
    owner = spec.get("deployment", {}).get("metadata_file_path", "")
    return not owner or str(owner).startswith(f"{root}/")


_FIND: dict[str, Find] = {
    "dashboards": _dashboard,
    "pipelines": _pipeline,
    "secret_scopes": _scope,
}
