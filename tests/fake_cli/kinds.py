"""Each kind of resource: its calls, and which differences matter."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from fake_cli.api import ApiError, Client, Json, persistent
from fake_cli.errors import CommandError

UC = "/api/2.1/unity-catalog"
Changed = tuple[str, Json | None]

# The name in the API of grants.
GRANTED = {
    "catalogs": "catalog",
    "external_locations": "external_location",
    "registered_models": "function",
    "schemas": "schema",
    "volumes": "volume",
}


@dataclass(frozen=True)
class Rules:
    """What a difference at a field means; the values are the reasons that the plan gives."""

    recreate: dict[str, str] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)  # a local change recreates
    renames: dict[str, str] = field(default_factory=dict)  # a local change is `update_id`
    ignore_remote: dict[str, str] = field(default_factory=dict)
    backend: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # () allows any value
    not_returned: tuple[str, ...] = ()
    ignore_local: tuple[str, ...] = ()  # no difference matters


class Kind:
    """A kind of resource; ids are texts."""

    rules: ClassVar[Rules] = Rules()
    defaults: ClassVar[Json] = {}
    fields: ClassVar[tuple[str, ...]] = ()

    def state(self, resource: Json) -> Json:
        """What is kept in the state for a resource of the bundle."""
        return resource

    def comparable(self, remote: Json) -> Json:
        """What is compared of what the workspace says."""
        return {name: remote[name] for name in self.fields if name in remote}

    def read(self, client: Client, identity: str) -> Json:
        """What the workspace says."""
        raise NotImplementedError

    def create(self, client: Client, state: Json) -> Changed:
        """Make it; its id, and what the workspace says when it says so at once."""
        raise NotImplementedError

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        """Change it; its id, which may be a new one, and what the workspace says."""
        raise CommandError("internal error: DoUpdate not implemented")

    def delete(self, client: Client, identity: str, state: Json) -> None:
        """Delete it; permissions and grants stay as they are."""


class Specified(Kind):
    """What the workspace keeps as settings, with fields of its own beside them."""

    beside: ClassVar[tuple[str, ...]] = ()

    def comparable(self, remote: Json) -> Json:
        return {name: value for name, value in remote.items() if name not in self.beside}


class Jobs(Specified):
    """Lakeflow jobs."""

    defaults: ClassVar[Json] = {"max_concurrent_runs": 1, "queue": {"enabled": True}}
    rules: ClassVar[Rules] = Rules(
        backend={
            "format": ("MULTI_TASK", "SINGLE_TASK"),
            "run_as": (),
            "tasks[*].run_if": ("ALL_SUCCESS",),
            "tasks[*].notebook_task.source": (),
            "tasks[*].spark_python_task.source": (),
            "tasks[*].sql_task.file.source": (),
            **{
                f"{cluster}.{name}": ()
                for cluster in ("tasks[*].new_cluster", "job_clusters[*].new_cluster")
                for name in (
                    "data_security_mode",
                    "driver_node_type_id",
                    "enable_elastic_disk",
                    "enable_local_disk_encryption",
                    "node_type_id",
                )
            },
        },
        ignore_remote={
            f"{cluster}.{name}_attributes": "managed"
            for cluster in ("tasks[*].new_cluster", "job_clusters[*].new_cluster")
            for name in ("aws", "azure", "gcp")
        },
    )
    beside = (
        "created_time",
        "creator_user_name",
        "effective_budget_policy_id",
        "effective_usage_policy_id",
        "job_id",
        "run_as_user_name",
    )

    def read(self, client: Client, identity: str) -> Json:
        job = client.call("GET", "/api/2.2/jobs/get", job_id=identity)
        remote: Json = {**job.get("settings", {})}
        while token := job.get("next_page_token"):
            job = client.call("GET", "/api/2.2/jobs/get", job_id=identity, page_token=token)
            for name in ("tasks", "job_clusters", "environments", "parameters"):
                remote.setdefault(name, []).extend(job.get("settings", {}).get(name, []))
        return remote | {name: job[name] for name in self.beside if name in job}

    def create(self, client: Client, state: Json) -> Changed:
        return str(client.call("POST", "/api/2.2/jobs/create", state)["job_id"]), None

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        body = {"job_id": int(identity), "new_settings": state}
        client.call("POST", "/api/2.2/jobs/reset", body)
        return identity, None

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("POST", "/api/2.2/jobs/delete", {"job_id": int(identity)})


class Pipelines(Specified):
    """Lakeflow declarative pipelines."""

    defaults: ClassVar[Json] = {"channel": "CURRENT", "edition": "ADVANCED"}
    rules: ClassVar[Rules] = Rules(
        recreate={
            "storage": "immutable",
            "ingestion_definition.connection_name": "immutable",
            "ingestion_definition.ingestion_gateway_id": "immutable",
        },
        ignore_remote={"run_as": "input_only", "allow_duplicate_names": "input_only"},
        backend={
            "storage": (),
            "clusters[*].node_type_id": (),
            "clusters[*].driver_node_type_id": (),
            "clusters[*].enable_local_disk_encryption": (),
            "event_log.catalog": (),
            "event_log.schema": (),
        },
        not_returned=("cascade_on_destroy",),
    )
    beside = (
        "cause",
        "cluster_id",
        "creator_user_name",
        "effective_publishing_mode",
        "health",
        "id",
        "last_modified",
        "latest_updates",
        "pipeline_id",
        "run_as_user_name",
        "state",
    )

    def read(self, client: Client, identity: str) -> Json:
        found: Json = client.call("GET", f"/api/2.0/pipelines/{identity}")
        shown = (*self.beside, "run_as", "parameters")
        return {**found.get("spec", {}), **{n: found[n] for n in shown if n in found}}

    def create(self, client: Client, state: Json) -> Changed:
        return client.call("POST", "/api/2.0/pipelines", _sent(state))["pipeline_id"], None

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        body = {**_sent(state), "pipeline_id": identity}
        client.call("PUT", f"/api/2.0/pipelines/{identity}", body)
        return identity, None

    def delete(self, client: Client, identity: str, state: Json) -> None:
        cascade = state.get("cascade_on_destroy")
        query = {} if cascade is None else {"cascade": str(cascade).lower()}
        client.call("DELETE", f"/api/2.0/pipelines/{identity}", **query)


def _sent(state: Json) -> Json:
    return {name: value for name, value in state.items() if name != "cascade_on_destroy"}


class Catalogued(Kind):
    """What Unity Catalog keeps under a full name."""

    collection: ClassVar[str] = ""
    updated: ClassVar[tuple[str, ...]] = ("comment",)

    def read(self, client: Client, identity: str) -> Json:
        found: Json = client.call("GET", f"{UC}/{self.collection}/{identity}")
        return found

    def create(self, client: Client, state: Json) -> Changed:
        made = client.call("POST", f"{UC}/{self.collection}", state)
        return made["full_name"], made

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        body = {name: state[name] for name in self.updated if name in state}
        if entry["action"] == "update_id":
            body["new_name"] = state["name"]
        made = client.call("PATCH", f"{UC}/{self.collection}/{identity}", body)
        return str(made.get("full_name", identity)) if "new_name" in body else identity, made

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("DELETE", f"{UC}/{self.collection}/{identity}")


class Schemas(Catalogued):
    """Schemas of Unity Catalog; deleted with all that is in them."""

    collection = "schemas"
    updated = ("comment", "properties")
    fields = ("catalog_name", "comment", "name", "properties", "storage_root")
    rules: ClassVar[Rules] = Rules(
        identity={"name": "id_field", "catalog_name": "id_field"},
        recreate={"storage_root": "immutable"},
    )

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("DELETE", f"{UC}/schemas/{identity}", force="true")


class Volumes(Catalogued):
    """Volumes of Unity Catalog."""

    collection = "volumes"
    defaults: ClassVar[Json] = {"volume_type": "MANAGED"}
    fields = ("catalog_name", "comment", "name", "schema_name", "storage_location", "volume_type")
    rules: ClassVar[Rules] = Rules(
        identity={"catalog_name": "id_field", "schema_name": "id_field"},
        renames={"name": "id_changes"},
        recreate={"storage_location": "immutable", "volume_type": "immutable"},
        backend={"storage_location": ()},
    )


class RegisteredModels(Catalogued):
    """Models of Unity Catalog."""

    collection = "models"
    updated = ("catalog_name", "comment", "name", "schema_name", "storage_location")
    fields = (
        *("aliases", "browse_only", "catalog_name", "comment", "created_at", "created_by"),
        *("full_name", "metastore_id", "name", "owner", "schema_name", "storage_location"),
        *("updated_at", "updated_by"),
    )
    rules: ClassVar[Rules] = Rules(
        identity={
            "name": "terraform_compat",
            "catalog_name": "id_field",
            "schema_name": "id_field",
        },
        recreate={"storage_location": "immutable"},
        ignore_remote={
            **dict.fromkeys(
                ("created_at", "created_by", "updated_at", "updated_by"), "output_only"
            ),
            "aliases": "input_only",
            "browse_only": "spec:output_only",
        },
        backend=dict.fromkeys(("storage_location", "owner", "full_name", "metastore_id"), ()),
    )


class SecretScopes(Kind):
    """Scopes of secrets; a scope that is gone is an error, not a creation."""

    rules: ClassVar[Rules] = Rules(
        identity={"scope": "id_field"},
        recreate={"scope_backend_type": "immutable", "backend_azure_keyvault": "immutable"},
        backend={"scope_backend_type": ("DATABRICKS",)},
        not_returned=("scope", "scope_backend_type", "backend_azure_keyvault"),
    )
    _names: ClassVar[dict[str, str]] = {
        "name": "scope",
        "backend_type": "scope_backend_type",
        "keyvault_metadata": "backend_azure_keyvault",
    }

    def state(self, resource: Json) -> Json:
        return {own: resource[name] for name, own in self._names.items() if name in resource}

    def comparable(self, remote: Json) -> Json:
        return self.state(remote)

    def read(self, client: Client, identity: str) -> Json:
        listed = client.call("GET", "/api/2.0/secrets/scopes/list").get("scopes", [])
        found: Json | None = next((scope for scope in listed if scope["name"] == identity), None)
        if found is None:
            raise CommandError(f'secret scope "{identity}" not found')
        return found

    def create(self, client: Client, state: Json) -> Changed:
        client.call("POST", "/api/2.0/secrets/scopes/create", state)
        return state["scope"], None

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("POST", "/api/2.0/secrets/scopes/delete", {"scope": identity})


class Dashboards(Kind):
    """Dashboards; the workspace's etag tells that somebody changed one."""

    defaults: ClassVar[Json] = {"embed_credentials": False}
    fields = (
        *("create_time", "dashboard_id", "display_name", "embed_credentials", "etag"),
        *("lifecycle_state", "parent_path", "path", "published", "serialized_dashboard"),
        *("update_time", "warehouse_id"),
    )
    rules: ClassVar[Rules] = Rules(
        recreate={"parent_path": "spec:immutable"},
        ignore_remote={
            "serialized_dashboard": "etag_based",
            "dataset_catalog": "input_only",
            "dataset_schema": "input_only",
            **dict.fromkeys(
                ("create_time", "dashboard_id", "lifecycle_state", "path", "update_time"),
                "spec:output_only",
            ),
        },
    )
    _path = "/api/2.0/lakeview/dashboards"

    def state(self, resource: Json) -> Json:
        return {**resource, "published": True}

    def read(self, client: Client, identity: str) -> Json:
        found = client.call("GET", f"{self._path}/{identity}")
        if found.get("lifecycle_state") == "TRASHED":
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", "the dashboard is in the trash")
        try:
            published = client.call("GET", f"{self._path}/{identity}/published")
        except ApiError:
            published = None
        embedded = bool(published and published.get("embed_credentials"))
        parent = found.get("parent_path", "")
        where = parent if parent.startswith("/Workspace") else f"/Workspace{parent}"
        return {
            **{name: found[name] for name in self.fields if name in found},
            "embed_credentials": embedded,
            "parent_path": where,
            "published": published is not None,
        }

    def create(self, client: Client, state: Json) -> Changed:
        made = client.call("POST", self._path, self._sent(state))
        state["etag"] = made.get("etag", "")
        self._publish(client, made["dashboard_id"], state)
        return made["dashboard_id"], made

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        made = client.call("PATCH", f"{self._path}/{identity}", self._sent(state))
        state["etag"] = made.get("etag", "")
        self._publish(client, identity, state)
        return identity, made

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("DELETE", f"{self._path}/{identity}")

    @staticmethod
    def _sent(state: Json) -> Json:
        names = ("display_name", "etag", "parent_path", "serialized_dashboard", "warehouse_id")
        return {name: state[name] for name in names if name in state}

    def _publish(self, client: Client, identity: str, state: Json) -> None:
        names = ("embed_credentials", "warehouse_id")
        body = {name: state[name] for name in names if name in state}
        client.call("POST", f"{self._path}/{identity}/published", body)


class Permissions(Kind):
    """Who may do what with a job, a pipeline or a dashboard."""

    fields = ("object_id", "__embed__")

    def read(self, client: Client, identity: str) -> Json:
        answer = client.call("GET", f"/api/2.0/permissions{identity}")
        entries = [
            {"level": held["permission_level"], **_whose(entry)}
            for entry in answer.get("access_control_list", [])
            for held in entry.get("all_permissions", [])
            if not held.get("inherited")
        ]
        return {"object_id": identity, **({"__embed__": entries} if entries else {})}

    def create(self, client: Client, state: Json) -> Changed:
        persistent(lambda: self.update(client, "", state, {}))
        return state["object_id"], None

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        wanted = [
            {"permission_level": one["level"], **_whose(one)} for one in state.get("__embed__", [])
        ]
        path = f"/api/2.0/permissions{state['object_id']}"
        client.call("PUT", path, {"access_control_list": wanted})
        return identity, None


def _whose(entry: Json) -> Json:
    names = ("user_name", "service_principal_name", "group_name")
    return {name: entry[name] for name in names if entry.get(name)}


class Grants(Kind):
    """Privileges in Unity Catalog."""

    fields = ("securable_type", "full_name", "__embed__")

    def read(self, client: Client, identity: str) -> Json:
        kind, name = identity.split("/", 1)
        answer = client.call("GET", f"{UC}/permissions/{kind}/{name}")
        entries = [
            {"principal": entry["principal"], "privileges": _essential(entry["privileges"])}
            for entry in answer.get("privilege_assignments", [])
            if entry.get("principal")
        ]
        remote: Json = {"securable_type": kind, "full_name": name}
        return remote | ({"__embed__": entries} if entries else {})

    def create(self, client: Client, state: Json) -> Changed:
        persistent(lambda: self.update(client, "", state, {}))
        return f"{state['securable_type']}/{state['full_name']}", None

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        wanted = state.get("__embed__", [])
        remote = (entry.get("remote_state") or {}).get("__embed__", [])
        kept = {one["principal"] for one in wanted}
        changes = [_granted(one) for one in wanted] + [
            {"principal": name, "remove": ["ALL_PRIVILEGES"]}
            for name in sorted({one["principal"] for one in remote} - kept)
        ]
        path = f"{UC}/permissions/{state['securable_type']}/{state['full_name']}"
        client.call("PATCH", path, {"changes": changes})
        return identity, None


def _essential(privileges: list[str]) -> list[str]:
    return ["ALL_PRIVILEGES"] if "ALL_PRIVILEGES" in privileges else sorted(privileges)


def _granted(entry: Json) -> Json:
    change = {"principal": entry["principal"], "add": entry["privileges"]}
    everything = "ALL_PRIVILEGES" in entry["privileges"]
    return change if everything else {**change, "remove": ["ALL_PRIVILEGES"]}


class Acls(Kind):
    """Who may read or write the secrets of a scope."""

    fields = ("scope_name", "acls")
    rules: ClassVar[Rules] = Rules(renames={"scope_name": "id_changes"})

    def read(self, client: Client, identity: str) -> Json:
        answer = client.call("GET", "/api/2.0/secrets/acls/list", scope=identity)
        return {"scope_name": identity, "acls": answer.get("items", [])}

    def create(self, client: Client, state: Json) -> Changed:
        return self.update(client, "", state, {})

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        scope = state["scope_name"]
        found = self.read(client, scope)["acls"]
        current = {one["principal"]: one["permission"] for one in found}
        wanted = {one["principal"]: one["permission"] for one in state.get("acls", [])}
        for name, level in wanted.items():
            if current.get(name) != level:
                body = {"scope": scope, "principal": name, "permission": level}
                client.call("POST", "/api/2.0/secrets/acls/put", body)
        for name in current.keys() - wanted.keys():
            body = {"scope": scope, "principal": name}
            client.call("POST", "/api/2.0/secrets/acls/delete", body)
        return str(scope), None


KINDS: dict[str, Kind] = {
    "acls": Acls(),
    "dashboards": Dashboards(),
    "grants": Grants(),
    "jobs": Jobs(),
    "permissions": Permissions(),
    "pipelines": Pipelines(),
    "registered_models": RegisteredModels(),
    "schemas": Schemas(),
    "secret_scopes": SecretScopes(),
    "volumes": Volumes(),
}


def known() -> dict[str, Kind]:
    """All kinds by name."""
    from fake_cli.services import SERVICES  # it needs the classes of this module

    return {**KINDS, **SERVICES}


def kind_of(key: str) -> Kind:
    """The kind of a node: `resources.secret_scopes.x.permissions` has one of its own."""
    _, kind, _, *sub = key.split(".")
    name = sub[0] if sub else kind
    return known()["acls" if sub == ["permissions"] and kind == "secret_scopes" else name]
