"""Unity Catalog: catalogs, schemas, volumes, registered models, and grants."""

import uuid
from typing import TYPE_CHECKING

from .identities import ORG_ID, Identity
from .wire import ApiError, Json, Request, call, denied, invalid, missing, now_ms

if TYPE_CHECKING:
    from .server import Workspace

METASTORE = "120efa64-9b68-46ba-be38-f319458430d2"
HIDDEN = ("data",)  # a test's own, never on the wire
KINDS = {
    "catalogs": "catalog",
    "external_locations": "external_location",
    "models": "function",
    "schemas": "schema",
    "volumes": "volume",
}
# Any of these privileges lets one see an object.
TO_READ = {
    "catalogs": {"USE_CATALOG", "BROWSE"},
    "external_locations": {"READ_FILES", "BROWSE"},
    "schemas": {"USE_SCHEMA", "BROWSE"},
    "volumes": {"READ_VOLUME", "WRITE_VOLUME", "BROWSE"},
    "models": {"EXECUTE", "APPLY_TAG", "BROWSE"},
}
# What stands above all: rights on it are kept under the kind `metastore`.
TO_CREATE_ABOVE = {"catalogs": "CREATE_CATALOG", "external_locations": "CREATE_EXTERNAL_LOCATION"}
TO_CREATE = {"schemas": "CREATE_SCHEMA", "volumes": "CREATE_VOLUME", "models": "CREATE_MODEL"}
ALL = {"ALL_PRIVILEGES", "MANAGE"}


def store(workspace: "Workspace", kind: str) -> dict[str, Json]:
    """All objects of a kind by full name."""
    stored: dict[str, Json] = getattr(workspace, kind)
    return stored


def add(workspace: "Workspace", name: str, creators: list[str]) -> None:
    """A catalog of the admin's, with its creators' grants."""
    owner = workspace.identity("admin").principal
    workspace.catalogs[name] = {"name": name, "full_name": name, **_stamps(owner)}
    grants = {one: ["CREATE_SCHEMA", "USE_CATALOG"] for one in creators}
    workspace.grants["catalog", name] = {"account users": ["USE_CATALOG"], **grants}


def _stamps(owner: str) -> Json:
    now = now_ms()
    times = {"created_at": now, "updated_at": now, "created_by": owner, "updated_by": owner}
    return {"owner": owner, "metastore_id": METASTORE, **times}


def _above(kind: str, full_name: str) -> list[tuple[str, str]]:
    """The object and what contains it."""
    full_name = full_name.lower()
    parts = full_name.split(".")
    containers = [] if kind == "external_locations" else [("catalogs", parts[0])]
    if len(parts) > 1 and kind != "schemas":
        containers.append(("schemas", ".".join(parts[:2])))
    return [(kind, full_name)] + [one for one in containers[::-1] if one[0] != kind]


def _owns(workspace: "Workspace", caller: Identity, kind: str, name: str) -> bool:
    owned = (store(workspace, one).get(full) for one, full in _above(kind, name))
    return caller.admin or any(one and one["owner"] in caller.principals for one in owned)


def _granted(workspace: "Workspace", caller: Identity, kind: str, name: str) -> set[str]:
    given: set[str] = set()
    for one, full_name in _above(kind, name):
        lines = workspace.grants.get((KINDS[one], full_name), {})
        for principal in caller.principals & lines.keys():
            given.update(lines[principal])
    return given


def may(workspace: "Workspace", caller: Identity, kind: str, name: str, any_of: set[str]) -> bool:
    """Whether a caller owns an object or has one of these privileges on it."""
    if _owns(workspace, caller, kind, name):
        return True
    return bool(_granted(workspace, caller, kind, name) & (any_of | ALL))


def _find(workspace: "Workspace", caller: Identity, kind: str, name: str) -> Json:
    noun = kind.removesuffix("s").capitalize()
    found = store(workspace, kind).get(name.lower())
    if found and not _is_bound(workspace, _above(kind, name)[-1][1]):
        raise denied(f"Catalog of '{name}' is not accessible in current workspace.")
    if found is None or not workspace.seen(kind, name):
        code = f"{noun.upper()}_DOES_NOT_EXIST"
        raise ApiError(404, code, f"{noun} '{name}' does not exist.")
    if not may(workspace, caller, kind, name, TO_READ[kind]):
        needed = " or ".join(sorted(TO_READ[kind]))
        raise denied(f"{caller.principal} does not have {needed} on {noun} '{name}'.")
    return found


def _is_bound(workspace: "Workspace", name: str) -> bool:
    """Whether a catalog may be used here: one that is isolated must be bound to the workspace."""
    mode = workspace.catalogs.get(name, {}).get("isolation_mode", "OPEN")
    bound = {str(one["workspace_id"]) for one in workspace.bindings.get(name, [])}
    return mode == "OPEN" or ORG_ID in bound


def _own(workspace: "Workspace", caller: Identity, kind: str, name: str) -> Json:
    found = _find(workspace, caller, kind, name)
    manages = "MANAGE" in _granted(workspace, caller, kind, name)
    if not manages and not _owns(workspace, caller, kind, name):
        raise denied(f"{caller.principal} is not an owner of '{name}'.")
    return found


def _shown(found: Json) -> Json:
    return {name: value for name, value in found.items() if name not in HIDDEN}


def _create(workspace: "Workspace", request: Request, kind: str, body: Json) -> Json:
    container = _above(kind, body["full_name"])[1]
    noun = container[0].removesuffix("s").capitalize()
    if not _is_bound(workspace, _above(kind, body["full_name"])[-1][1]):
        raise denied(f"Catalog of '{body['full_name']}' is not accessible in current workspace.")
    if container[1] not in store(workspace, container[0]):
        code = f"{noun.upper()}_DOES_NOT_EXIST"
        raise ApiError(404, code, f"{noun} '{container[1]}' does not exist.")
    if not may(workspace, request.caller, *container, {TO_CREATE[kind]}):
        needed = f"{TO_CREATE[kind]} on {noun} '{container[1]}'"
        raise denied(f"{request.caller.principal} does not have {needed}.")
    if body["full_name"] in store(workspace, kind):
        code = f"{kind.removesuffix('s').upper()}_ALREADY_EXISTS"
        raise ApiError(400, code, f"'{body['full_name']}' already exists.")
    created = {**body, **_stamps(request.caller.principal)}
    store(workspace, kind)[body["full_name"]] = created
    workspace.created(kind, body["full_name"])
    return created


def _create_above(workspace: "Workspace", request: Request, kind: str, body: Json) -> Json:
    lines = workspace.grants.get(("metastore", METASTORE), {})
    given = {right for who in request.caller.principals for right in lines.get(who, [])}
    if not request.caller.admin and TO_CREATE_ABOVE[kind] not in given:
        raise denied(f"{request.caller.principal} does not have {TO_CREATE_ABOVE[kind]}.")
    name = body["name"] = body["name"].lower()
    if name in store(workspace, kind):
        raise ApiError(400, f"{kind[:-1].upper()}_ALREADY_EXISTS", f"'{name}' already exists.")
    made = {**body, "full_name": name, **_stamps(request.caller.principal)}
    store(workspace, kind)[name] = made
    workspace.grants.setdefault((KINDS[kind], name), {})
    return made


@call("POST", "/api/2.1/unity-catalog/catalogs")
def _create_catalog(workspace: "Workspace", request: Request) -> Json:
    return _create_above(workspace, request, "catalogs", request.json)


@call("POST", "/api/2.1/unity-catalog/external-locations")
def _create_location(workspace: "Workspace", request: Request) -> Json:
    return _create_above(workspace, request, "external_locations", request.json)


@call("POST", "/api/2.1/unity-catalog/schemas")
def _create_schema(workspace: "Workspace", request: Request) -> Json:
    body = request.json
    body["name"] = body["name"].lower()
    body["full_name"] = f"{body['catalog_name'].lower()}.{body['name']}"
    made = {"catalog_type": "MANAGED_CATALOG", "schema_id": str(uuid.uuid4()), "browse_only": False}
    made["enable_predictive_optimization"] = "INHERIT"
    return _create(workspace, request, "schemas", body | made)


@call("POST", "/api/2.1/unity-catalog/volumes")
def _create_volume(workspace: "Workspace", request: Request) -> Json:
    body, key = request.json, str(uuid.uuid4())
    external = body.get("volume_type") == "EXTERNAL"
    if body.get("storage_location") and not external:
        raise invalid("CreateVolume storage_location can not be provided.")
    for name in ("schema_name", "name"):
        body[name] = body[name].lower()
    body["full_name"] = f"{body['catalog_name'].lower()}.{body['schema_name']}.{body['name']}"
    place = body.get("storage_location") or f"s3://metastore/{METASTORE}/volumes/{key}"
    made = {"volume_id": key, "storage_location": place.rstrip("/")}
    return _create(workspace, request, "volumes", body | made)


@call("POST", "/api/2.1/unity-catalog/models")
def _create_model(workspace: "Workspace", request: Request) -> Json:
    body = request.json
    full_name = f"{body['catalog_name']}.{body['schema_name']}.{body['name']}"
    return _create(workspace, request, "models", body | {"full_name": full_name.lower()})


@call("GET", "/api/2.1/unity-catalog/schemas")
def _list_schemas(workspace: "Workspace", request: Request) -> Json:
    return _listed(workspace, request, "schemas", request.query["catalog_name"])


@call("GET", "/api/2.1/unity-catalog/volumes")
def _list_volumes(workspace: "Workspace", request: Request) -> Json:
    container = f"{request.query['catalog_name']}.{request.query['schema_name']}"
    return _listed(workspace, request, "volumes", container)


def _listed(workspace: "Workspace", request: Request, kind: str, container: str) -> Json:
    rows = [
        _shown(one)
        for name, one in store(workspace, kind).items()
        if name.startswith(container + ".")
        and may(workspace, request.caller, kind, name, TO_READ[kind])
    ]
    return {kind: rows}


# Who sees and changes bindings:
# docs.databricks.com/gcp/dev-tools/cli/reference/workspace-bindings-commands; which workspaces
# reach an isolated catalog: docs.databricks.com/catalogs/binding.html. That a binding may be
# changed from any workspace is assumed: no page says it.
@call("GET", "/api/2.1/unity-catalog/bindings/catalog/{name}")
def _get_bindings(workspace: "Workspace", request: Request, name: str) -> Json:
    _check_owner_of(workspace, request.caller, name)
    rows, start = workspace.bindings.get(name, []), int(request.query.get("page_token") or 0)
    more = {"next_page_token": str(start + 1)} if len(rows) > start + 1 else {}
    return {"bindings": rows[start : start + 1], **more}  # pages may be as short as they like


@call("PATCH", "/api/2.1/unity-catalog/bindings/catalog/{name}")
def _change_bindings(workspace: "Workspace", request: Request, name: str) -> Json:
    _check_owner_of(workspace, request.caller, name)
    rows = [b for b in workspace.bindings.get(name, []) if b not in request.json.get("remove", [])]
    for added in request.json.get("add", []):
        known = {"BINDING_TYPE_READ_WRITE", "BINDING_TYPE_READ_ONLY"}
        if not isinstance(added["workspace_id"], int) or added["binding_type"] not in known:
            raise invalid(f"No such binding: {added}")
        rows = [b for b in rows if b["workspace_id"] != added["workspace_id"]] + [added]
    workspace.bindings[name] = rows
    return {"bindings": rows}


def _check_owner_of(workspace: "Workspace", caller: Identity, name: str) -> None:
    if name not in workspace.catalogs:
        raise ApiError(404, "CATALOG_DOES_NOT_EXIST", f"Catalog '{name}' does not exist.")
    if not _owns(workspace, caller, "catalogs", name):
        raise denied(f"{caller.principal} is not an owner of '{name}'.")


@call("GET", "/api/2.1/unity-catalog/{kind}/{name}")
def _get(workspace: "Workspace", request: Request, kind: str, name: str) -> Json:
    kind = _checked(kind)
    return _shown(_find(workspace, request.caller, kind, name))


@call("PATCH", "/api/2.1/unity-catalog/{kind}/{name}")
def _patch(workspace: "Workspace", request: Request, kind: str, name: str) -> Json:
    kind = _checked(kind)
    found, changes = _own(workspace, request.caller, kind, name), request.json
    new_name = changes.pop("new_name", None)
    found |= changes
    found |= {"updated_at": now_ms(), "updated_by": request.caller.principal}
    if new_name:
        _rename(workspace, kind, found, new_name.lower())
    return _shown(found)


def _rename(workspace: "Workspace", kind: str, found: Json, new_name: str) -> None:
    old = found["full_name"]
    full_name = ".".join([*old.split(".")[:-1], new_name])
    found |= {"name": new_name, "full_name": full_name}
    store(workspace, kind)[full_name] = store(workspace, kind).pop(old)
    if lines := workspace.grants.pop((KINDS[kind], old), None):
        workspace.grants[KINDS[kind], full_name] = lines


@call("DELETE", "/api/2.1/unity-catalog/{kind}/{name}")
def _delete(workspace: "Workspace", request: Request, kind: str, name: str) -> None:
    kind = _checked(kind)
    name = _own(workspace, request.caller, kind, name)["full_name"]
    inside = [
        (one, full_name)
        for one in ("schemas", "volumes", "models")
        for full_name in store(workspace, one)
        if full_name.startswith(name + ".")
    ]
    if inside and request.query.get("force") != "true":
        raise invalid(f"Cannot delete '{name}': it is not empty. Force the deletion.")
    for one, full_name in [*inside, (kind, name)]:
        del store(workspace, one)[full_name]
        workspace.grants.pop((KINDS[one], full_name), None)


def _checked(kind: str) -> str:
    """The kind that a path means."""
    known = kind.replace("-", "_")
    if known not in KINDS:
        raise missing(f"No API found for unity-catalog/{kind}")
    return known


@call("GET", "/api/2.1/unity-catalog/permissions/{kind}/{name}")
def _get_grants(workspace: "Workspace", request: Request, kind: str, name: str) -> Json:
    name = _find(workspace, request.caller, _kind_of(kind), name)["full_name"]
    return _assignments(workspace, kind, name)


@call("GET", "/api/2.1/unity-catalog/effective-permissions/{kind}/{name}")
def _get_effective(workspace: "Workspace", request: Request, kind: str, name: str) -> Json:
    name = _find(workspace, request.caller, _kind_of(kind), name)["full_name"]
    lines: dict[str, list[Json]] = {}
    for one, full_name in _above(_kind_of(kind), name):
        for who, privileges in workspace.grants.get((KINDS[one], full_name), {}).items():
            source = {"inherited_from_name": full_name, "inherited_from_type": KINDS[one].upper()}
            shown = source if full_name != name else {}
            lines.setdefault(who, []).extend({"privilege": p, **shown} for p in privileges)
    rows = [{"principal": who, "privileges": privileges} for who, privileges in lines.items()]
    return {"privilege_assignments": rows}


@call("PATCH", "/api/2.1/unity-catalog/permissions/{kind}/{name}")
def _change_grants(workspace: "Workspace", request: Request, kind: str, name: str) -> Json:
    name = _own(workspace, request.caller, _kind_of(kind), name)["full_name"]
    changes = request.json.get("changes", [])
    for change in changes:
        if set(change.get("add", [])) & set(change.get("remove", [])):
            who = change["principal"]
            raise invalid(f"Duplicate privileges to add and delete for principal {who}.")
    lines = workspace.grants.setdefault((kind.lower(), name), {})
    for change in changes:
        _apply(lines, change)
    return _assignments(workspace, kind, name)


def _apply(lines: dict[str, list[str]], change: Json) -> None:
    removed = set(change.get("remove", []))
    old = set() if "ALL_PRIVILEGES" in removed else set(lines.get(change["principal"], []))
    new = (old - removed) | set(change.get("add", []))
    lines.pop(change["principal"], None)
    if new:
        lines[change["principal"]] = sorted(new)


def _kind_of(securable: str) -> str:
    for kind, noun in KINDS.items():
        if noun == securable.lower():
            return kind
    raise missing(f"{securable} is not a kind of securable that is known here")


def _assignments(workspace: "Workspace", kind: str, name: str) -> Json:
    lines = workspace.grants.get((kind.lower(), name), {})
    rows = [{"principal": who, "privileges": privileges} for who, privileges in lines.items()]
    return {"privilege_assignments": rows}


@call("GET", "/api/2.1/unity-catalog/current-metastore-assignment")
def _metastore(workspace: "Workspace", request: Request) -> Json:
    known: Json = {"metastore_id": METASTORE, "default_catalog_name": "main"}
    return {**known, "workspace_id": int(ORG_ID)}
