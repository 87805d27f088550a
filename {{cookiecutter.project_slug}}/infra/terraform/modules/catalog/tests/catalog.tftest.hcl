# Bound before it is isolated, and never more than the grants that are named.

mock_provider "databricks" {
  override_during = plan
}

variables {
  name         = "lakehouse_prod"
  workspace_id = 1234567890123456
  grants = {
    deployer = { principal = "aaaaaaaa-0000-4000-8000-000000000001", privileges = ["USE_CATALOG", "CREATE_SCHEMA"] }
    readers  = { principal = "analysts", privileges = ["USE_CATALOG"] }
  }
}

run "first_apply_binds" {
  command = plan

  variables {
    is_isolated = false
  }

  override_data {
    target = data.databricks_catalogs.all
    values = { ids = [] }
  }

  assert {
    condition     = databricks_catalog.this.isolation_mode == "OPEN"
    error_message = "isolated before it is bound"
  }

  assert {
    condition     = databricks_workspace_binding.this.workspace_id == 1234567890123456 && databricks_workspace_binding.this.binding_type == "BINDING_TYPE_READ_WRITE"
    error_message = "bound to ${databricks_workspace_binding.this.workspace_id} as ${databricks_workspace_binding.this.binding_type}"
  }

  assert {
    condition     = databricks_workspace_binding.this.securable_name == "lakehouse_prod" && databricks_workspace_binding.this.securable_type == "catalog"
    error_message = "bound something else: ${databricks_workspace_binding.this.securable_name}"
  }
}

run "the_first_apply_does_not_isolate" {
  command = plan

  override_data {
    target = data.databricks_catalogs.all
    values = { ids = ["lakehouse_staging"] }
  }

  expect_failures = [databricks_catalog.this]
}

run "the_next_apply_isolates" {
  command = plan

  override_data {
    target = data.databricks_catalogs.all
    values = { ids = ["lakehouse_prod"] }
  }

  assert {
    condition     = databricks_catalog.this.isolation_mode == "ISOLATED"
    error_message = "every workspace of the metastore sees the catalog"
  }

  assert {
    condition     = { for what, one in databricks_grant.this : one.principal => one.privileges } == { "aaaaaaaa-0000-4000-8000-000000000001" = toset(["USE_CATALOG", "CREATE_SCHEMA"]), analysts = toset(["USE_CATALOG"]) }
    error_message = "other grants: ${jsonencode(databricks_grant.this)}"
  }

  assert {
    condition     = alltrue([for one in values(databricks_grant.this) : one.catalog == "lakehouse_prod" && one.schema == null])
    error_message = "grants on schemas are the bundle's"
  }

  assert {
    condition     = databricks_catalog.this.force_destroy != true
    error_message = "a catalog with tables could be deleted"
  }
}

run "rights_on_schemas_are_refused" {
  command = plan

  variables {
    grants = { runner = { principal = "analysts", privileges = ["SELECT"] } }
  }

  override_data {
    target = data.databricks_catalogs.all
    values = { ids = ["lakehouse_prod"] }
  }

  expect_failures = [var.grants]
}
