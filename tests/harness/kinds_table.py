"""Every kind of resource that a bundle may have, each as a release could add it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from delivery.resources import KINDS

PLANNER = {"service_principal_name": "${var.planner}"}


@dataclass(frozen=True)
class Sample:
    """One resource of a kind.

    Attributes:
        yaml: what a release declares.
        hand: a field that hands change in the workspace, with the value that they put there, or
            what makes it of the old one; empty for kinds of which the CLI compares no field.
        stored: where the workspace keeps it, if not among its services: the attribute's name.
    """

    yaml: dict[str, Any]
    hand: tuple[str, Any] = ("", None)
    stored: str = ""


def _may(level: str, **resource: Any) -> dict[str, Any]:
    """A resource that the planner may see."""
    return {**resource, "permissions": [{"level": level, **PLANNER}]}


_BRANCH = "projects/kinds-project/branches/kinds-branch"
_SCHEMA = {"catalog_name": "${var.catalog}", "schema_name": "${resources.schemas.kinds_raw.name}"}

SAMPLES: dict[str, Sample] = {
    "alerts": Sample(
        _may(
            "CAN_READ",
            display_name="kinds_alert",
            run_as="${var.run_as}",
            warehouse_id="abc",
            query_text="select 1",
            evaluation={
                "comparison_operator": "GREATER_THAN",
                "source": {"name": "x"},
                "threshold": {"value": {"double_value": 1.5}},
            },
            schedule={"quartz_cron_schedule": "0 0 6 * * ?", "timezone_id": "UTC"},
        ),
        ("query_text", "select 2"),
    ),
    "apps": Sample(
        _may(
            "CAN_USE",
            name="kinds-app",
            description="x",
            source_code_path="${workspace.file_path}/src",
        ),
        ("description", "by hand"),
    ),
    "catalogs": Sample(
        {
            "name": "kinds_catalog",
            "comment": "x",
            "grants": [{"principal": "${var.planner}", "privileges": ["USE_CATALOG"]}],
        },
        ("comment", "by hand"),
        "catalogs",
    ),
    "clusters": Sample(
        _may(
            "CAN_ATTACH_TO",
            cluster_name="kinds_cluster",
            spark_version="17.3.x-scala2.13",
            node_type_id="m",
            num_workers=1,
            autotermination_minutes=10,
        ),
        ("autotermination_minutes", 60),
    ),
    "dashboards": Sample(
        _may(
            "CAN_READ", display_name="kinds_dashboard", warehouse_id="a", serialized_dashboard="{}"
        ),
        ("etag", "99"),
        "dashboards",
    ),
    "database_catalogs": Sample(
        {
            "name": "kinds_db_catalog",
            "database_instance_name": "${resources.database_instances.kinds_instance.name}",
            "database_name": "app",
        },
        ("database_name", "other"),
    ),
    "database_instances": Sample(
        _may("CAN_USE", name="kinds-instance", capacity="CU_1"), ("capacity", "CU_2")
    ),
    "experiments": Sample(
        _may("CAN_READ", name="/Workspace/Users/shared_kinds_experiment"),
        ("name", "/Users/by_hand"),
        "experiments",
    ),
    "external_locations": Sample(
        {
            "name": "kinds_location",
            "url": "s3://kinds",
            "credential_name": "kinds",
            "comment": "x",
            "grants": [{"principal": "${var.planner}", "privileges": ["READ_FILES"]}],
        },
        ("comment", "by hand"),
        "external_locations",
    ),
    "genie_spaces": Sample(
        _may(
            "CAN_READ",
            title="kinds_space",
            warehouse_id="a",
            serialized_space='{"version": 2}',
            parent_path="${workspace.root_path}/resources",
        ),
        ("title", "by hand"),
    ),
    "instance_pools": Sample(
        _may(
            "CAN_ATTACH_TO", instance_pool_name="kinds_pool", node_type_id="m", min_idle_instances=0
        ),
        ("min_idle_instances", 9),
    ),
    "job_runs": Sample({"job_id": "${resources.jobs.kinds_job.id}"}, stored="runs"),
    "jobs": Sample(
        {
            "name": "kinds_job",
            "run_as": "${var.run_as}",
            "permissions": "${var.job_permissions}",
            "tasks": [{"task_key": "a", "notebook_task": {"notebook_path": "/Shared/x"}}],
        },
        ("max_concurrent_runs", 7),
        "jobs",
    ),
    "model_serving_endpoints": Sample(
        _may(
            "CAN_VIEW",
            name="kinds_serving",
            config={
                "served_entities": [
                    {
                        "name": "one",
                        "entity_name": "m.s.x",
                        "entity_version": "1",
                        "workload_size": "Small",
                        "scale_to_zero_enabled": True,
                    }
                ]
            },
            tags=[{"key": "a", "value": "b"}],
        ),
        ("tags", [{"key": "a", "value": "by hand"}]),
    ),
    "models": Sample(
        _may("CAN_READ", name="kinds_old_model", description="x"), ("description", "by hand")
    ),
    "pipelines": Sample(
        {
            "name": "kinds_pipeline",
            "run_as": "${var.run_as}",
            "permissions": "${var.job_permissions}",
            "catalog": "${var.catalog}",
            "schema": "${resources.schemas.kinds_raw.name}",
            "serverless": True,
            "libraries": [{"file": {"path": "../../src/lakehouse/entry.py"}}],
        },
        ("serverless", False),
        "pipelines",
    ),
    "postgres_branches": Sample(
        {
            "parent": "${resources.postgres_projects.kinds_project.id}",
            "branch_id": "kinds-branch",
            "no_expiry": True,
        }
    ),
    "postgres_catalogs": Sample(
        {
            "catalog_id": "kinds_pg_catalog",
            "branch": "${resources.postgres_branches.kinds_branch.id}",
            "postgres_database": "app",
        }
    ),
    "postgres_databases": Sample(
        {
            "parent": "${resources.postgres_branches.kinds_branch.id}",
            "database_id": "kinds-database",
            "postgres_database": "app",
            "role": "${resources.postgres_roles.kinds_role.id}",
        }
    ),
    "postgres_endpoints": Sample(
        {
            "parent": "${resources.postgres_branches.kinds_branch.id}",
            "endpoint_id": "kinds-endpoint",
            "endpoint_type": "ENDPOINT_TYPE_READ_ONLY",
        }
    ),
    "postgres_projects": Sample(
        _may("CAN_USE", project_id="kinds-project", display_name="kinds", pg_version=17)
    ),
    "postgres_roles": Sample(
        {
            "parent": "${resources.postgres_branches.kinds_branch.id}",
            "role_id": "kinds-role",
            "postgres_role": "kinds",
        }
    ),
    "postgres_synced_tables": Sample(
        {
            "synced_table_id": "kinds.x.pg_synced",
            "branch": "${resources.postgres_branches.kinds_branch.id}",
            "postgres_database": "app",
            "source_table_full_name": "a.b.c",
            "primary_key_columns": ["id"],
        }
    ),
    "quality_monitors": Sample(
        {
            "table_name": "a.b.kinds_table",
            "assets_dir": "/Workspace/Shared/kinds",
            "output_schema_name": "a.b",
            "snapshot": {},
        },
        ("output_schema_name", "by.hand"),
    ),
    "registered_models": Sample({"name": "kinds_model", "comment": "x", "grants": [
        {"principal": "${var.planner}", "privileges": ["EXECUTE"]}], **_SCHEMA},
                                ("comment", "by hand"), "models"),
    "schemas": Sample(
        {
            "name": "kinds_raw",
            "catalog_name": "${var.catalog}",
            "comment": "x",
            "grants": "${var.schema_grants}",
        },
        ("comment", "by hand"),
        "schemas",
    ),
    "secret_scopes": Sample(
        # Whoever plans a scope must manage it: the CLI reads who else may use it.
        _may("MANAGE", name="kinds_scope"),
        ("acls", lambda acls: {**acls, "users": "READ"}),
        "secret_scopes",
    ),
    "sql_warehouses": Sample(
        _may("CAN_USE", name="kinds_warehouse", cluster_size="Small", auto_stop_mins=10),
        ("auto_stop_mins", 60),
    ),
    "synced_database_tables": Sample(
        {
            "name": "a.b.kinds_synced",
            "database_instance_name": "${resources.database_instances.kinds_instance.name}",
            "logical_database_name": "app",
            "spec": {"source_table_full_name": "a.b.c", "scheduling_policy": "SNAPSHOT"},
        },
        ("spec", {"source_table_full_name": "by.hand.c", "scheduling_policy": "SNAPSHOT"}),
    ),
    "vector_search_endpoints": Sample(
        _may("CAN_USE", name="kinds_search", endpoint_type="STANDARD"),
    ),
    "vector_search_indexes": Sample(
        {
            "name": "a.b.kinds_index",
            "endpoint_name": "${resources.vector_search_endpoints.kinds_search.name}",
            "index_type": "DIRECT_ACCESS",
            "primary_key": "id",
            "direct_access_index_spec": {"schema_json": '{"id":"string"}'},
        },
        ("primary_key", "by_hand"),
    ),
    "volumes": Sample(
        {"name": "kinds_files", "volume_type": "MANAGED", "comment": "x", **_SCHEMA},
        ("comment", "by hand"),
        "volumes",
    ),
}  # fmt: skip

KEYS = {
    "database_instances": "kinds_instance", "jobs": "kinds_job", "schemas": "kinds_raw",
    "postgres_branches": "kinds_branch", "postgres_projects": "kinds_project",
    "postgres_roles": "kinds_role",
    "vector_search_endpoints": "kinds_search",
}  # fmt: skip


def key_of(kind: str) -> str:
    """The key of a kind's sample, such as `volumes.kinds_volumes`."""
    return f"{kind}.{KEYS.get(kind, f'kinds_{kind}')}"


def found_by_plan(kind: str) -> bool:
    """Whether a plan finds an existing one of a kind; others are adopted by their id."""
    return bool(KINDS[kind].address) or kind in ("dashboards", "jobs", "pipelines", "secret_scopes")


def row_of(kind: str) -> tuple[str, ...]:
    """What the page says of a kind, besides what it holds."""
    row = KINDS[kind]
    sample = SAMPLES[kind]
    deleting = "refused" if row.holds_data else "a few" if kind == "jobs" else "allowed"
    drift = "fields" if sample.hand[0] else "deletion" if kind != "job_runs" else "none"
    return (
        f"`{kind}`",
        row.fate,
        "its model" if row.model else "by the CLI",
        deleting,
        "found" if found_by_plan(kind) else "by its id",
        drift,
    )


def document() -> dict[str, Any]:
    """All of them, as one file of a bundle."""
    kinds = {kind: {key_of(kind).partition(".")[2]: one.yaml} for kind, one in SAMPLES.items()}
    return {"resources": kinds}
