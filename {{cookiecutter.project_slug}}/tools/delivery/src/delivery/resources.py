"""Properties of each kind of bundle resource."""

from dataclasses import dataclass
from typing import Literal

# The outcome of a rollback for a resource that the rollback target does not have.
Fate = Literal["retained", "deleted", "refused"]


@dataclass(frozen=True)
class Kind:
    """A kind of bundle resource.

    Attributes:
        holds_data: deleting it may lose data; the default for kinds that are not listed.
        runs_as: it has a `run_as`; without one it runs as the identity that deployed it.
        has_owner: its permissions include an owner.
        has_creator: its API says who created it, and when.
        state_only: fields of the CLI's state that YAML does not accept; None if the mapping from
            state to YAML has not been tested with the real CLI.
        renamed: fields whose names differ, as pairs of the name in the state and in YAML.
        model: its class in `databricks.bundles.<kind>`; empty if there is none.
        address: its API path, for kinds whose id is built from their fields.
        id: the template of such an id.
        by_id: its API path by id, for kinds whose names need not be unique.
    """

    holds_data: bool = True
    runs_as: bool = False
    has_owner: bool = False
    has_creator: bool = False
    state_only: tuple[str, ...] | None = None
    renamed: tuple[tuple[str, str], ...] = ()
    model: str = ""
    address: str = ""
    id: str = "{name}"
    by_id: str = ""

    @property
    def fate(self) -> Fate:
        """What a rollback does with such a resource if the rollback target does not have it."""
        if not self.holds_data:
            return "deleted"
        return "refused" if self.state_only is None else "retained"


_UC = "/api/2.1/unity-catalog"
_DB = "/api/2.0/database"
_PG = "/api/2.0/postgres"

# In the CLI's state they are resources; in YAML, fields of the resource that they belong to.
SUB_RESOURCES = ("grants", "permissions")

KINDS: dict[str, Kind] = {
    "alerts": Kind(holds_data=False, runs_as=True, model="Alert", by_id="/api/2.0/alerts/{id}"),
    "apps": Kind(state_only=(), model="App", address="/api/2.0/apps/{id}"),
    "catalogs": Kind(state_only=(), model="Catalog", address=f"{_UC}/catalogs/{{id}}"),
    "clusters": Kind(holds_data=False, model="Cluster"),
    "dashboards": Kind(
        state_only=("etag", "published"),
        model="Dashboard",
        by_id="/api/2.0/lakeview/dashboards/{id}",
    ),
    "database_catalogs": Kind(
        state_only=(), model="DatabaseCatalog", address=f"{_DB}/catalogs/{{id}}"
    ),
    "database_instances": Kind(
        state_only=(), model="DatabaseInstance", address=f"{_DB}/instances/{{id}}"
    ),
    "experiments": Kind(state_only=(), model="MlflowExperiment"),
    "external_locations": Kind(
        state_only=(), model="ExternalLocation", address=f"{_UC}/external-locations/{{id}}"
    ),
    "genie_spaces": Kind(state_only=("etag",), model="GenieSpace"),
    "grants": Kind(holds_data=False),
    "instance_pools": Kind(holds_data=False, model="InstancePool"),
    "job_runs": Kind(holds_data=False, model="JobRun"),
    "jobs": Kind(holds_data=False, runs_as=True, has_owner=True, model="Job"),
    "model_serving_endpoints": Kind(
        state_only=(), model="ModelServingEndpoint", address="/api/2.0/serving-endpoints/{id}"
    ),
    "models": Kind(
        state_only=(),
        model="MlflowModel",
        address="/api/2.0/mlflow/databricks/registered-models/get?name={id}",
    ),
    "permissions": Kind(holds_data=False),
    "pipelines": Kind(
        runs_as=True,
        has_owner=True,
        state_only=("deployment",),
        model="Pipeline",
        by_id="/api/2.0/pipelines/{id}",
    ),
    "postgres_branches": Kind(
        state_only=(), address=f"{_PG}/{{id}}", id="{parent}/branches/{branch_id}"
    ),
    "postgres_catalogs": Kind(state_only=(), address=f"{_PG}/{{id}}", id="catalogs/{catalog_id}"),
    "postgres_databases": Kind(
        state_only=(), address=f"{_PG}/{{id}}", id="{parent}/databases/{database_id}"
    ),
    "postgres_endpoints": Kind(
        state_only=(), address=f"{_PG}/{{id}}", id="{parent}/endpoints/{endpoint_id}"
    ),
    "postgres_projects": Kind(state_only=(), address=f"{_PG}/{{id}}", id="projects/{project_id}"),
    "postgres_roles": Kind(state_only=(), address=f"{_PG}/{{id}}", id="{parent}/roles/{role_id}"),
    "postgres_synced_tables": Kind(
        state_only=(), address=f"{_PG}/{{id}}", id="synced_tables/{synced_table_id}"
    ),
    "quality_monitors": Kind(
        state_only=(),
        model="QualityMonitor",
        address=f"{_UC}/tables/{{id}}/monitor",
        id="{table_name}",
    ),
    "registered_models": Kind(
        has_creator=True,
        state_only=(),
        model="RegisteredModel",
        address=f"{_UC}/models/{{id}}",
        id="{catalog_name}.{schema_name}.{name}",
    ),
    "schemas": Kind(
        has_creator=True,
        state_only=(),
        model="Schema",
        address=f"{_UC}/schemas/{{id}}",
        id="{catalog_name}.{name}",
    ),
    "secret_scopes": Kind(
        state_only=(),
        renamed=(("scope", "name"),),
        model="SecretScope",  # pragma: allowlist secret
    ),
    "sql_warehouses": Kind(
        holds_data=False,
        has_owner=True,
        model="SqlWarehouse",
        by_id="/api/2.0/sql/warehouses/{id}",
    ),
    "synced_database_tables": Kind(
        state_only=(), model="SyncedDatabaseTable", address=f"{_DB}/synced_tables/{{id}}"
    ),
    "vector_search_endpoints": Kind(
        state_only=(),
        model="VectorSearchEndpoint",
        address="/api/2.0/vector-search/endpoints/{id}",
    ),
    "vector_search_indexes": Kind(
        state_only=("endpoint_uuid",),
        model="VectorSearchIndex",
        address="/api/2.0/vector-search/indexes/{id}",
    ),
    "volumes": Kind(
        has_creator=True,
        state_only=(),
        model="Volume",
        address=f"{_UC}/volumes/{{id}}",
        id="{catalog_name}.{schema_name}.{name}",
    ),
}

# Kinds that the models of `databricks-bundles` have, with their classes, and that no version of the
# CLI has been tried with: a plan takes them for kinds that hold data and cannot be kept.
UNTRIED = {
    "cluster_policies": "ClusterPolicy",
    "features": "Feature",
    "mcp_services": "McpService",
    "model_provider_services": "ModelProviderService",
    "model_services": "ModelService",
    "secrets": "Secret",  # pragma: allowlist secret
}


def kind_of(key: str) -> str:
    """The kind of a resource key such as `jobs.flights_daily` or `schemas.flights_gold.grants`."""
    last = key.rpartition(".")[2]
    return last if last in SUB_RESOURCES else key.partition(".")[0]


def properties_of(key: str) -> Kind:
    """The properties of a key's kind; conservative ones if the kind is not listed."""
    return KINDS.get(kind_of(key), Kind())
