"""Kinds that the workspace keeps much as they are declared."""

from typing import ClassVar

from fake_cli.api import Client, Json
from fake_cli.errors import CommandError
from fake_cli.kinds import Catalogued, Changed, Kind, Rules


class Service(Kind):
    """A kind with a path of its own, below which each has its id."""

    path: ClassVar[str] = ""
    key: ClassVar[str] = "name"  # of the answer: what it is known by
    asked: ClassVar[dict[str, str]] = {}  # what is said beside the id when one is read

    def comparable(self, remote: Json) -> Json:
        return {name: remote[name] for name in self.fields if name in remote}

    def read(self, client: Client, identity: str) -> Json:
        found: Json = client.call("GET", f"{self.path}/{identity}", **self.asked)
        return found

    def create(self, client: Client, state: Json) -> Changed:
        made = client.call("POST", self.path, self.sent(state))
        return str(made[self.key]), None

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        client.call("PATCH", f"{self.path}/{identity}", self.sent(state))
        return identity, None

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("DELETE", f"{self.path}/{identity}")

    def sent(self, state: Json) -> Json:
        """What of the state is sent."""
        return state


class Alerts(Service):
    """Alerts on queries."""

    path, key = "/api/2.0/alerts", "id"
    fields = (
        *("custom_description", "custom_summary", "display_name", "evaluation", "parent_path"),
        *("query_text", "run_as", "schedule", "warehouse_id"),
    )


class Apps(Service):
    """Apps; without a deployment of its own, code is not compared."""

    path = "/api/2.0/apps"
    fields = ("description", "name", "resources", "user_api_scopes")
    rules: ClassVar[Rules] = Rules(
        identity={"name": "id_field"},
        ignore_local=("source_code_path", "config", "git_source"),
    )

    def create(self, client: Client, state: Json) -> Changed:
        made = client.call("POST", self.path, self.sent(state), no_compute="true")
        return str(made["name"]), None

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        mask = "description,resources,user_api_scopes"
        body = {"app": self.sent(state), "update_mask": mask}
        client.call("POST", f"{self.path}/{identity}/update", body)
        return identity, None

    def sent(self, state: Json) -> Json:
        return {name: value for name, value in state.items() if name in self.fields}


class Catalogs(Catalogued):
    """Catalogs of Unity Catalog; deleted with all that is in them."""

    collection = "catalogs"
    updated = ("comment", "properties")
    fields = ("comment", "name", "properties", "storage_root")
    rules: ClassVar[Rules] = Rules(
        renames={"name": "id_changes"}, recreate={"storage_root": "immutable"}
    )

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("DELETE", f"/api/2.1/unity-catalog/catalogs/{identity}", force="true")


class ExternalLocations(Catalogued):
    """Places outside that Unity Catalog may read."""

    collection = "external-locations"
    updated = ("comment", "url", "read_only")
    fields = ("comment", "credential_name", "name", "read_only", "url")
    rules: ClassVar[Rules] = Rules(
        renames={"name": "id_changes"}, recreate={"credential_name": "immutable"}
    )


class ByField(Service):
    """A kind whose calls are named after what they do, with the id as a field."""

    removed: ClassVar[str] = "delete"

    def read(self, client: Client, identity: str) -> Json:
        found: Json = client.call("GET", f"{self.path}/get", **{self.key: identity})
        return found

    def create(self, client: Client, state: Json) -> Changed:
        return str(client.call("POST", f"{self.path}/create", state)[self.key]), None

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        client.call("POST", f"{self.path}/edit", {self.key: identity, **state})
        return identity, None

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("POST", f"{self.path}/{self.removed}", {self.key: identity})


class Clusters(ByField):
    """Clusters that several share."""

    path, key, removed = "/api/2.1/clusters", "cluster_id", "permanent-delete"
    defaults: ClassVar[Json] = {"autotermination_minutes": 60}
    fields = (
        *("autotermination_minutes", "cluster_name", "custom_tags", "node_type_id"),
        *("num_workers", "single_user_name", "spark_conf", "spark_version"),
    )
    rules: ClassVar[Rules] = Rules(backend={"single_user_name": (), "node_type_id": ()})


class InstancePools(ByField):
    """Machines that wait for clusters."""

    path, key = "/api/2.0/instance-pools", "instance_pool_id"
    fields = (
        "custom_tags", "instance_pool_name", "max_capacity", "min_idle_instances", "node_type_id",
    )  # fmt: skip


class DatabaseInstances(Service):
    """Databases that are run for one."""

    path = "/api/2.0/database/instances"
    fields = ("capacity", "name")
    rules: ClassVar[Rules] = Rules(
        identity={"name": "id_field"},
        not_returned=("custom_tags", "node_count", "retention_window_in_days", "stopped"),
    )

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("DELETE", f"{self.path}/{identity}", purge="true")


class DatabaseCatalogs(Service):
    """Catalogs over a database."""

    path = "/api/2.0/database/catalogs"
    fields = ("database_instance_name", "database_name", "name")
    rules: ClassVar[Rules] = Rules(
        identity={"name": "id_field"},
        recreate=dict.fromkeys(("database_instance_name", "database_name"), "immutable"),
        not_returned=("create_database_if_not_exists",),
    )


class SyncedDatabaseTables(Service):
    """Tables that a database gets from the lakehouse."""

    path = "/api/2.0/database/synced_tables"
    fields = ("name", "spec")
    rules: ClassVar[Rules] = Rules(
        identity={"name": "id_field"},
        recreate={"spec": "immutable"},
        not_returned=("database_instance_name", "logical_database_name"),
    )


class GenieSpaces(Service):
    """Spaces in which people ask; the etag tells that somebody changed one."""

    path, key = "/api/2.0/genie/spaces", "space_id"
    fields = ("description", "etag", "parent_path", "title", "warehouse_id")
    asked: ClassVar[dict[str, str]] = {"include_serialized_space": "true"}
    rules: ClassVar[Rules] = Rules(not_returned=("serialized_space",))

    def create(self, client: Client, state: Json) -> Changed:
        made = client.call("POST", self.path, self.sent(state))
        state["etag"] = made["etag"]
        return str(made["space_id"]), None

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        made = client.call("PATCH", f"{self.path}/{identity}", self.sent(state))
        state["etag"] = made["etag"]
        return identity, None

    def sent(self, state: Json) -> Json:
        return {name: value for name, value in state.items() if name != "etag"}


class JobRuns(Kind):
    """A run that a bundle starts once, when it is deployed."""

    rules: ClassVar[Rules] = Rules(not_returned=("job_id", "job_parameters"))

    def read(self, client: Client, identity: str) -> Json:
        found: Json = client.call("GET", "/api/2.2/jobs/runs/get", run_id=identity)
        return found

    def create(self, client: Client, state: Json) -> Changed:
        body = {**state, "job_id": int(state["job_id"])}
        identity = str(client.call("POST", "/api/2.2/jobs/run-now", body)["run_id"])
        end = self.read(client, identity)
        while end["state"]["life_cycle_state"] not in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR"):
            end = self.read(client, identity)
        if end["state"].get("result_state") != "SUCCESS":
            raise CommandError(f"run did not succeed: {end['state'].get('result_state')}")
        return identity, end

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("POST", "/api/2.2/jobs/runs/delete", {"run_id": int(identity)})


class ModelServingEndpoints(Service):
    """Models that answer."""

    path = "/api/2.0/serving-endpoints"
    fields = ("ai_gateway", "config", "name", "tags")
    rules: ClassVar[Rules] = Rules(
        identity={"name": "id_field"}, recreate={"route_optimized": "immutable"}
    )

    def read(self, client: Client, identity: str) -> Json:
        found = super().read(client, identity)
        return {**found, "endpoint_id": found["id"]}

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        changed = {path.partition(".")[0].partition("[")[0] for path in entry["changes"]}
        if "config" in changed:
            client.call("PUT", f"{self.path}/{identity}/config", state.get("config", {}))
        if "tags" in changed:
            there = {tag["key"] for tag in self.read(client, identity).get("tags", [])}
            wanted = state.get("tags", [])
            gone = sorted(there - {tag["key"] for tag in wanted})
            body = {"add_tags": wanted, "delete_tags": gone}
            client.call("PATCH", f"{self.path}/{identity}/tags", body)
        return identity, None


class Models(Kind):
    """Models of the workspace's own registry."""

    fields = ("description", "name")
    rules: ClassVar[Rules] = Rules(identity={"name": "terraform_compat"}, ignore_local=("tags",))
    _path = "/api/2.0/mlflow/registered-models"

    def read(self, client: Client, identity: str) -> Json:
        path = "/api/2.0/mlflow/databricks/registered-models/get"
        found = client.call("GET", path, name=identity)["registered_model_databricks"]
        return {**found, "model_id": found["id"]}

    def create(self, client: Client, state: Json) -> Changed:
        made = client.call("POST", f"{self._path}/create", state)["registered_model"]
        return str(made["name"]), None

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        body = {"name": identity, "description": state.get("description", "")}
        client.call("PATCH", f"{self._path}/update", body)
        return identity, None

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("DELETE", f"{self._path}/delete", name=identity)


class Experiments(Kind):
    """Experiments; with and without `/Workspace` their name is the same."""

    fields = ("artifact_location", "name")
    rules: ClassVar[Rules] = Rules(
        recreate={"artifact_location": "immutable"},
        backend={"artifact_location": ()},
        ignore_local=("tags",),
    )
    _path = "/api/2.0/mlflow/experiments"

    def comparable(self, remote: Json) -> Json:
        found = super().comparable(remote)
        return {**found, "name": f"/Workspace{found['name']}"}

    def read(self, client: Client, identity: str) -> Json:
        found: Json = client.call("GET", f"{self._path}/get", experiment_id=identity)["experiment"]
        return found

    def create(self, client: Client, state: Json) -> Changed:
        return str(client.call("POST", f"{self._path}/create", state)["experiment_id"]), None

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        body = {"experiment_id": identity, "new_name": state["name"]}
        client.call("POST", f"{self._path}/update", body)
        return identity, None

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("POST", f"{self._path}/delete", {"experiment_id": identity})


class Postgres(Kind):
    """What a Postgres project is made of; the service never gives back what was asked for."""

    below: ClassVar[str] = ""  # the collection
    noun: ClassVar[str] = ""
    _path = "/api/2.0/postgres"

    def comparable(self, remote: Json) -> Json:
        return {}

    def read(self, client: Client, identity: str) -> Json:
        found: Json = client.call("GET", f"{self._path}/{identity}")
        return found

    def create(self, client: Client, state: Json) -> Changed:
        name = f"{self.noun}_id"
        parent = f"{state['parent']}/" if "parent" in state else ""
        body = {"spec": {k: v for k, v in state.items() if k not in (name, "parent")}}
        path = f"{self._path}/{parent}{self.below}"
        made = client.call("POST", path, body, **{name: state[name]})
        return str(made["response"]["name"]), made["response"]

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        spec = {k: v for k, v in state.items() if k not in (f"{self.noun}_id", "parent")}
        client.call("PATCH", f"{self._path}/{identity}", {"spec": spec})
        return identity, None

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("DELETE", f"{self._path}/{identity}")


def _postgres(below: str, noun: str, *given: str) -> Postgres:
    """A kind below Postgres, with the fields that a release may give it."""
    identity = dict.fromkeys((f"{noun}_id", "parent"), "id_field")
    rules = Rules(identity=identity, not_returned=given)
    made: type[Postgres] = type(
        f"Postgres_{below}", (Postgres,), {"below": below, "noun": noun, "rules": rules}
    )
    return made()


class QualityMonitors(Kind):
    """Watches over tables."""

    fields = ("assets_dir", "output_schema_name", "snapshot", "table_name")
    rules: ClassVar[Rules] = Rules(
        identity={"table_name": "id_field"}, recreate={"assets_dir": "immutable"}
    )

    def _path(self, identity: str) -> str:
        return f"/api/2.1/unity-catalog/tables/{identity}/monitor"

    def read(self, client: Client, identity: str) -> Json:
        found: Json = client.call("GET", self._path(identity))
        return found

    def create(self, client: Client, state: Json) -> Changed:
        made = client.call("POST", self._path(state["table_name"]), state)
        return str(made["table_name"]), made

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        return identity, client.call("PUT", self._path(identity), state)

    def delete(self, client: Client, identity: str, state: Json) -> None:
        client.call("DELETE", self._path(identity))


class SqlWarehouses(Service):
    """Warehouses."""

    path, key = "/api/2.0/sql/warehouses", "id"
    defaults: ClassVar[Json] = {
        "auto_stop_mins": 120, "enable_photon": True, "max_num_clusters": 1,
        "spot_instance_policy": "COST_OPTIMIZED",
    }  # fmt: skip
    fields = (
        *("auto_stop_mins", "cluster_size", "enable_photon", "max_num_clusters", "name"),
        "spot_instance_policy",
    )
    rules: ClassVar[Rules] = Rules(not_returned=("tags", "channel", "warehouse_type"))

    def update(self, client: Client, identity: str, state: Json, entry: Json) -> Changed:
        client.call("POST", f"{self.path}/{identity}/edit", state)
        return identity, None


class VectorSearchEndpoints(Service):
    """Where vectors are searched."""

    path = "/api/2.0/vector-search/endpoints"
    fields = ("endpoint_type", "name")
    rules: ClassVar[Rules] = Rules(
        identity={"name": "id_field"}, recreate={"endpoint_type": "immutable"}
    )

    def read(self, client: Client, identity: str) -> Json:
        found = super().read(client, identity)
        return {**found, "endpoint_uuid": found["id"]}


class VectorSearchIndexes(Service):
    """Vectors that can be searched; each is bound to one endpoint."""

    path = "/api/2.0/vector-search/indexes"
    fields = ("endpoint_name", "index_type", "name", "primary_key")
    rules: ClassVar[Rules] = Rules(
        identity={"name": "id_field"},
        recreate=dict.fromkeys(("endpoint_name", "index_type", "primary_key"), "immutable"),
        ignore_local=("endpoint_uuid",),
        not_returned=("direct_access_index_spec", "delta_sync_index_spec"),
    )

    def create(self, client: Client, state: Json) -> Changed:
        made = client.call("POST", self.path, state)
        endpoint = VectorSearchEndpoints().read(client, state["endpoint_name"])
        state["endpoint_uuid"] = endpoint["endpoint_uuid"]
        return str(made["name"]), None


SERVICES: dict[str, Kind] = {
    "alerts": Alerts(),
    "apps": Apps(),
    "catalogs": Catalogs(),
    "clusters": Clusters(),
    "database_catalogs": DatabaseCatalogs(),
    "database_instances": DatabaseInstances(),
    "experiments": Experiments(),
    "external_locations": ExternalLocations(),
    "genie_spaces": GenieSpaces(),
    "instance_pools": InstancePools(),
    "job_runs": JobRuns(),
    "model_serving_endpoints": ModelServingEndpoints(),
    "models": Models(),
    "postgres_branches": _postgres("branches", "branch", "no_expiry", "source_branch"),
    "postgres_catalogs": _postgres("catalogs", "catalog", "branch", "postgres_database"),
    "postgres_databases": _postgres("databases", "database", "postgres_database", "role"),
    "postgres_endpoints": _postgres("endpoints", "endpoint", "endpoint_type"),
    "postgres_projects": _postgres("projects", "project", "display_name", "pg_version"),
    "postgres_roles": _postgres("roles", "role", "postgres_role"),
    "postgres_synced_tables": _postgres(
        *("synced_tables", "synced_table", "branch", "postgres_database"),
        *("source_table_full_name", "primary_key_columns"),
    ),
    "quality_monitors": QualityMonitors(),
    "sql_warehouses": SqlWarehouses(),
    "synced_database_tables": SyncedDatabaseTables(),
    "vector_search_endpoints": VectorSearchEndpoints(),
    "vector_search_indexes": VectorSearchIndexes(),
}
