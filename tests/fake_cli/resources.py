"""From the resolved tree to what is deployed: presets, defaults, permissions, paths, references."""

import copy
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from delivery.config.yaml import Mark, YamlList, YamlMapping

from fake_cli.api import Json
from fake_cli.config import User
from fake_cli.errors import CommandError
from fake_cli.kinds import GRANTED, known

REFERENCE = re.compile(r"\$\{(resources\.\w+\.[\w-]+)\.([^}]+)\}")

# What stands in YAML beside the fields of the resource itself.
_NO_STATE = {"permissions", "grants", "lifecycle", "volume_path", "file_path", "id"}
_NOTEBOOKS = {".py", ".ipynb", ".sql", ".r", ".scala"}
_LEVELS = {
    "jobs": {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_VIEW", "CAN_RUN": "CAN_MANAGE_RUN"},
    "pipelines": {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_VIEW", "CAN_RUN": "CAN_RUN"},
    "dashboards": {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_READ"},
    "secret_scopes": {"CAN_MANAGE": "MANAGE", "CAN_VIEW": "READ"},
    "apps": {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_USE"},
    "database_instances": {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_USE"},
    "postgres_projects": {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_USE"},
    "vector_search_endpoints": {"CAN_MANAGE": "CAN_MANAGE"},
    "model_serving_endpoints": {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_VIEW"},
    "sql_warehouses": {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_VIEW"},
    **{
        kind: {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_READ"}
        for kind in ("alerts", "experiments", "genie_spaces", "models")
    },
    **{
        kind: {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_ATTACH_TO"}
        for kind in ("clusters", "instance_pools")
    },
}
_OWNED = ("jobs", "pipelines", "sql_warehouses")
# What the calls about permissions call a kind, and the field that is the id there.
_OBJECTS = {
    "alerts": ("alertsv2", "id"),
    "database_instances": ("database-instances", "id"),
    "genie_spaces": ("genie", "id"),
    "instance_pools": ("instance-pools", "id"),
    "model_serving_endpoints": ("serving-endpoints", "endpoint_id"),
    "models": ("registered-models", "model_id"),
    "postgres_projects": ("database-projects", "project_id"),
    "sql_warehouses": ("sql/warehouses", "id"),
    "vector_search_endpoints": ("vector-search-endpoints", "endpoint_uuid"),
}
OBJECT_IDS = {name for _, name in _OBJECTS.values()}
_NO_RUN_AS = ("model_serving_endpoints", "quality_monitors", "apps")
_RANKS = (
    *("READ", "WRITE", "MANAGE", "CAN_VIEW", "CAN_READ", "CAN_RUN", "CAN_MANAGE_RUN"),
    *("CAN_MANAGE", "IS_OWNER"),
)
_PRINCIPALS = ("user_name", "service_principal_name", "group_name")


@dataclass
class Node:
    """One entry of the plan: a resource, its permissions or its grants.

    Attributes:
        state: what it is to be; texts may still hold `${resources…}`.
        vars: fields that become known with another resource, as templates.
        depends_on: the nodes that are referred to, as the plan lists them.
    """

    key: str
    kind: str
    state: Json
    vars: dict[str, str] = field(default_factory=dict)
    depends_on: list[Json] = field(default_factory=list)


def prepared(tree: YamlMapping, user: User, root: Path) -> Json:
    """The `resources` of the tree, with all that the CLI adds to them."""
    translated = _translated(tree.section("resources"), tree["workspace"]["file_path"])
    resources: Json = {kind: copy.deepcopy(dict(found)) for kind, found in translated.items()}
    _refuse_run_as(resources, tree.get("run_as"), user)
    for kind, found in resources.items():
        for resource in found.values():
            _run_as(kind, resource, tree.get("run_as"))
            _presets(kind, resource, _effective_presets(tree, user))
            _defaults(kind, resource, tree["workspace"])
            _permissions(kind, resource, tree.get("permissions") or [], user)
            if kind == "dashboards" and "file_path" in resource:
                text = (root / resource["file_path"]).read_text(encoding="utf-8")
                resource["serialized_dashboard"] = text
    _volume_paths(resources)
    _schemas(resources)
    return resources


def nodes(resources: Json) -> dict[str, Node]:
    """The nodes of all resources, sorted by key."""
    found: dict[str, Node] = {}
    for kind, entries in resources.items():
        for name, resource in entries.items():
            for node in _nodes_of(kind, f"resources.{kind}.{name}", resource):
                node.depends_on = _dependencies(node)
                found[node.key] = node
    return dict(sorted(found.items()))


def _nodes_of(kind: str, key: str, resource: Json) -> Iterator[Node]:
    left_out = _NO_STATE | ({"url"} if kind != "external_locations" else set())
    fields = {name: value for name, value in resource.items() if name not in left_out}
    yield Node(key, kind, known()[kind].state(fields))
    permissions, grants = resource.get("permissions"), resource.get("grants")
    if permissions and kind == "secret_scopes":
        acls = [{"permission": p["level"], "principal": _principal(p)[1]} for p in permissions]
        state: Json = {"scope_name": "", "acls": acls}
        yield Node(f"{key}.permissions", "acls", state, {"scope_name": f"${{{key}.name}}"})
    elif permissions:
        ordered = [{"level": p["level"], **p} for p in permissions]
        noun, name = _OBJECTS.get(kind, (kind, "id"))
        template = {"object_id": f"/{noun}/${{{key}.{name}}}"}
        state = {"object_id": "", "__embed__": ordered}
        yield Node(f"{key}.permissions", "permissions", state, template)
    if grants is not None and kind in GRANTED:
        entries = _grants(grants)
        state = {"securable_type": GRANTED[kind], "full_name": "", "__embed__": entries}
        yield Node(f"{key}.grants", "grants", state, {"full_name": f"${{{key}.id}}"})


def _dependencies(node: Node) -> list[Json]:
    found = {
        (target, f"${{{target}.{rest}}}")
        for text in [*texts(node.state), *node.vars.values()]
        for target, rest in REFERENCE.findall(text)
    }
    return [{"node": target, "label": label} for target, label in sorted(found)]


def texts(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from texts(entry)
    elif isinstance(value, str):
        yield value


def _translated(value: Any, file_path: str, place: tuple[str, ...] = ()) -> Any:
    """Paths beside the YAML become paths of the workspace; dashboards are read from here."""
    if isinstance(value, YamlMapping):
        return {
            key: _path(entry, value.marks[key], file_path, (*place, key))
            if isinstance(entry, str)
            else _translated(entry, file_path, (*place, key))
            for key, entry in value.items()
        }
    if isinstance(value, YamlList):
        return [_translated(entry, file_path, place) for entry in value]
    return value


def _path(text: str, mark: Mark, file_path: str, place: tuple[str, ...]) -> str:
    local = posixpath.normpath(posixpath.join(posixpath.dirname(mark.file), text))
    if text.startswith(("/", "$")) or "://" in text:
        return text
    if place[0] == "dashboards" and place[-1] == "file_path":
        return local
    if place[-1] == "notebook_path" or place[-2:] == ("notebook", "path"):
        stem, suffix = posixpath.splitext(local)
        return f"{file_path}/{stem if suffix.lower() in _NOTEBOOKS else local}"
    if place[-1] == "python_file" or place[-2:] == ("file", "path"):
        return f"{file_path}/{local}"
    return text


def _refuse_run_as(resources: Json, run_as: Json | None, user: User) -> None:
    """Kinds that cannot run as another than whoever deploys them.

    Raises:
        CommandError: there are such, and the target names another.
    """
    if not run_as or user.name in run_as.values():
        return
    refused = [kind for kind in _NO_RUN_AS if resources.get(kind)]
    if any(one.get("embed_credentials") for one in resources.get("dashboards", {}).values()):
        refused.append("dashboards with embed_credentials set to true")
    for kind in refused:
        raise CommandError(
            f"{kind} do not support a setting a run_as user that is different from the owner.\n"
            f"Current identity: {user.name}. Run as identity: {next(iter(run_as.values()))}."
        )


def _run_as(kind: str, resource: Json, run_as: Json | None) -> None:
    if run_as and kind in ("alerts", "jobs", "pipelines"):
        resource.setdefault("run_as", dict(run_as))


def _effective_presets(tree: YamlMapping, user: User) -> Json:
    presets: Json = dict(tree.section("presets"))
    if tree["bundle"].get("mode") == "development":
        presets.setdefault("name_prefix", f"[dev {user.short_name}] ")
        presets.setdefault("trigger_pause_status", "PAUSED")
        presets.setdefault("jobs_max_concurrent_runs", 4)
        presets.setdefault("pipelines_development", True)
        presets["tags"] = {"dev": user.short_name, **presets.get("tags", {})}
    return presets


def _presets(kind: str, resource: Json, presets: Json) -> None:
    prefix = presets.get("name_prefix", "")
    field_, text = {
        "jobs": ("name", prefix),
        "pipelines": ("name", prefix),
        "dashboards": ("display_name", prefix),
        "schemas": ("name", _normalised(prefix)),
        "registered_models": ("name", _normalised(prefix)),
        "model_serving_endpoints": ("name", _normalised(prefix)),
        "alerts": ("display_name", prefix),
        "clusters": ("cluster_name", prefix),
        "genie_spaces": ("title", prefix),
        "instance_pools": ("instance_pool_name", prefix),
        "models": ("name", prefix),
        "sql_warehouses": ("name", prefix),
    }.get(kind, ("", ""))
    if text:
        resource[field_] = text + resource.get(field_, "")
    if kind in ("jobs", "pipelines") and presets.get("tags"):
        resource["tags"] = {**presets["tags"], **resource.get("tags", {})}
    if kind in ("clusters", "instance_pools") and presets.get("tags"):
        resource["custom_tags"] = {**presets["tags"], **resource.get("custom_tags", {})}
    if kind == "alerts" and "trigger_pause_status" in presets and "schedule" in resource:
        resource["schedule"].setdefault("pause_status", presets["trigger_pause_status"])
    if kind == "pipelines" and presets.get("pipelines_development"):
        resource["development"] = True
    for trigger in ("schedule", "continuous", "trigger") if kind == "jobs" else ():
        if trigger in resource and "trigger_pause_status" in presets:
            resource[trigger].setdefault("pause_status", presets["trigger_pause_status"])
    if kind == "jobs" and "jobs_max_concurrent_runs" in presets:
        resource.setdefault("max_concurrent_runs", presets["jobs_max_concurrent_runs"])


def _normalised(prefix: str) -> str:
    """`[dev ann] ` becomes `dev_ann_`, but `pr42_` becomes `pr42`, as in the real CLI."""
    bare = prefix.replace("[", "").strip(" ")
    return re.sub(r"[\W_]+", "_", bare.lower()).strip("_") + ("_" if bare.endswith("]") else "")


def _defaults(kind: str, resource: Json, workspace: Json) -> None:
    deployment = {
        "kind": "BUNDLE",
        "metadata_file_path": f"{workspace['state_path']}/metadata.json",
    }
    if kind in ("jobs", "pipelines"):
        resource["deployment"] = deployment
    if kind == "jobs":
        resource |= {"edit_mode": "UI_LOCKED", "format": "MULTI_TASK"}
        resource.setdefault("name", "Untitled")
        for trigger in ("schedule", "continuous", "trigger"):
            if trigger in resource:
                resource[trigger].setdefault("pause_status", "UNPAUSED")
    for name, value in known()[kind].defaults.items():
        resource.setdefault(name, copy.deepcopy(value))
    if kind in ("alerts", "dashboards", "genie_spaces"):
        resource.setdefault("parent_path", workspace["resource_path"])


def _permissions(kind: str, resource: Json, common: list[Json], user: User) -> None:
    """The target's permissions, and whoever runs the command as owner."""
    levels = _LEVELS.get(kind, {})
    own: list[Json] = [dict(entry) for entry in resource.get("permissions") or []]
    taken = {_principal(entry) for entry in own}
    own += [
        {**entry, "level": levels[entry["level"]]}
        for entry in common
        if entry["level"] in levels and _principal(entry) not in taken
    ]
    if not (own or kind == "secret_scopes"):
        return
    owned = any(entry["level"] == "IS_OWNER" for entry in own)
    level = "IS_OWNER" if kind in _OWNED and not owned else levels.get("CAN_MANAGE")
    if level:
        own.append({"level": level, user.key: user.name})
    best = _strongest(own)
    resource["permissions"] = sorted(best, key=_principal) if kind == "secret_scopes" else best


def _strongest(entries: list[Json]) -> list[Json]:
    """One level for each principal, in the order of their first entries."""
    best: dict[tuple[str, str], Json] = {}
    for entry in entries:
        key = _principal(entry)
        if key not in best or _rank(entry) > _rank(best[key]):
            best[key] = {"level": entry["level"], key[0]: key[1]}
    return list(best.values())


def _rank(entry: Json) -> int:
    return _RANKS.index(entry["level"]) if entry["level"] in _RANKS else 0


def _principal(entry: Json) -> tuple[str, str]:
    name = next((name for name in _PRINCIPALS if entry.get(name)), "group_name")
    return name, entry.get(name, "")


def _grants(entries: list[Json]) -> list[Json]:
    """One entry for each principal, privileges sorted; all privileges swallow the others."""
    merged: dict[str, set[str]] = {}
    for entry in entries:
        merged.setdefault(entry["principal"], set()).update(entry["privileges"])
    return [
        {
            "principal": name,
            "privileges": ["ALL_PRIVILEGES"] if "ALL_PRIVILEGES" in given else sorted(given),
        }
        for name, given in merged.items()
    ]


def _volume_paths(resources: Json) -> None:
    def named(match: re.Match[str]) -> str:
        _, kind, key = match[1].split(".")
        return str(resources.get(kind, {}).get(key, {}).get(match[2], match[0]))

    for volume in resources.get("volumes", {}).values():
        parts = (volume.get("catalog_name"), volume.get("schema_name"), volume.get("name"))
        path = "/Volumes/" + "/".join(str(part) for part in parts)
        volume["volume_path"] = REFERENCE.sub(named, path)


def _schemas(resources: Json) -> None:
    """A schema named in plain text is a dependency, too."""
    known = {
        (schema.get("catalog_name"), schema.get("name")): f"${{resources.schemas.{key}.name}}"
        for key, schema in resources.get("schemas", {}).items()
    }
    fields = {"volumes": "schema_name", "registered_models": "schema_name", "pipelines": "schema"}
    for kind, name in fields.items():
        for resource in resources.get(kind, {}).values():
            catalog = resource.get("catalog_name", resource.get("catalog"))
            if name in resource:
                resource[name] = known.get((catalog, resource[name]), resource[name])
