"""Finds resources that a plan would create although they exist in the workspace already."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from delivery.config.target import Target
from delivery.config.yaml import YamlMapping
from delivery.plan.model import ResourceChange
from delivery.resources import properties_of
from delivery.workspace.client import Workspace

_ID = re.compile(r"<resources\.(\w+)\.([\w-]+)\.id>")  # a reference, as `resolve` leaves it
_Finder = Callable[[Workspace, Mapping[str, Any]], str]


def find_existing(
    workspace: Workspace, target: Target, changes: Sequence[ResourceChange]
) -> dict[str, str]:
    """The ids of existing resources, by the key that the plan would create.

    Jobs are not included, because several jobs may share a name. A resource that is not visible to
    the caller counts as absent; creating it then fails in the CLI.
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
        elif properties_of(kind).address:
            found[change.key] = _at_address(workspace, kind, _identity(kind, resource, kinds))
    return {key: identity for key, identity in found.items() if identity}


def _identity(kind: str, resource: Mapping[str, Any], kinds: YamlMapping) -> str:
    """The id that is made of a resource's fields; empty if one is missing.

    A field may refer to the id of another resource, such as the project of a branch.
    """

    def other(match: re.Match[str]) -> str:
        referred = kinds.section(match[1]).section(match[2])
        return _identity(match[1], referred, kinds) if properties_of(match[1]).address else match[0]

    fields = {k: _ID.sub(other, v) if isinstance(v, str) else v for k, v in resource.items()}
    try:
        return properties_of(kind).id.format(**fields)
    except KeyError:
        return ""


def _at_address(workspace: Workspace, kind: str, identity: str) -> str:
    """The id, if the workspace has such a resource."""
    path, _, query = properties_of(kind).address.format(id=identity).partition("?")
    found = identity and workspace.get_or_none(path, dict(parse_qsl(query)))
    return identity if found else ""


def _scope(workspace: Workspace, resource: Mapping[str, Any]) -> str:
    scopes = (workspace.get_or_none("/api/2.0/secrets/scopes/list") or {}).get("scopes", [])
    name = str(resource.get("name"))
    return name if any(scope.get("name") == name for scope in scopes) else ""


def _dashboard(workspace: Workspace, resource: Mapping[str, Any]) -> str:
    path = f"{resource['parent_path']}/{resource.get('display_name')}.lvdash.json"
    status = workspace.get_or_none("/api/2.0/workspace/get-status", {"path": path}) or {}
    return str(status.get("resource_id", ""))


def _pipeline(workspace: Workspace, resource: Mapping[str, Any]) -> str:
    name, root = str(resource.get("name")), resource["root"]
    answer = workspace.get_or_none("/api/2.0/pipelines", {"filter": f"name LIKE '{name}'"}) or {}
    for pipeline in answer.get("statuses", []):
        identity = pipeline["pipeline_id"]
        if pipeline.get("name") == name and _may_be_of_target(workspace, identity, root):
            return str(identity)
    return ""


def _may_be_of_target(workspace: Workspace, pipeline: str, root: str) -> bool:
    """Whether this target, or no bundle at all, deployed a pipeline."""
    spec = (workspace.get_or_none(f"/api/2.0/pipelines/{pipeline}") or {}).get("spec", {})
    metadata = str(spec.get("deployment", {}).get("metadata_file_path", ""))
    return not metadata or is_below(metadata, root)


def is_below(path: str, folder: str) -> bool:
    """Whether a workspace path is in a folder; some services omit the prefix `/Workspace`."""
    return path.removeprefix("/Workspace").startswith(f"{folder.removeprefix('/Workspace')}/")


_FIND: dict[str, _Finder] = {
    "dashboards": _dashboard,
    "pipelines": _pipeline,
    "secret_scopes": _scope,
}
